"""The plain records that flow through motion correction: options, parameters of one exposure, result of one exposure.

All are frozen and hold nothing but plain values, so that they can be sent to a worker, written to the journal as JSON
and compared. Units: Å per pixel, kV, e/Å², seconds, pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appion.base.records.program import Program


@dataclass(frozen=True)
class MotionCorrectionOptions:
    """The command-line options that shape the program's command, the names and the rows (classic's dests)."""

    bin: float = 1.0
    alignlabel: str = "a"
    startframe: int = 0
    nframe: int | None = None
    doseweight: bool = False
    totaldose: float | None = None
    gpuids: tuple[int, ...] = (0,)
    nrw: int = 1
    fmref: int = 0
    iter: int = 7
    tol: float = 0.5
    patchrows: int = 0
    patchcols: int = 0
    maskcentrow: int = 0
    maskcentcol: int = 0
    masksizerows: float = 1.0
    masksizecols: float = 1.0
    bft_global: float = 500.0
    bft_local: float = 150.0
    force_cpu_flat: bool = False
    rendered_frame_size: int = 1
    eer_sampling: int = 1
    gainfile: str = ""
    force_tiff: bool = False
    square: bool = False
    trim: int = 0
    refimgid: int | None = None


#: Options that make no difference to a result.
INDIFFERENT_OPTIONS = frozenset({"gpuids"})


@dataclass(frozen=True)
class Defects:
    """Bad rows, columns and (x, y) pixels of the camera in Leginon's orientation; `shape` is (rows, columns)."""

    rows: tuple[int, ...] = ()
    cols: tuple[int, ...] = ()
    pixels: tuple[tuple[int, int], ...] = ()
    shape: tuple[int, int] = (0, 0)

    def __bool__(self) -> bool:
        return bool(self.rows or self.cols or self.pixels)


@dataclass(frozen=True)
class MotionCorrectionParams:
    """Everything that is needed to correct one exposure and to write its rows.

    Attributes:
        image_id, filename: the source `AcquisitionImageData` row.
        session_id, image_path: its session, and where Leginon keeps the session's images.
        preset: name of the source preset, or None.
        camera_dimension, camera_binning: (x, y) of the source camera row.
        movie, movie_format: the movie's path and mrc, tif or eer.
        other_movies: where it may be as well, if it is not there yet.
        nframes: raw frames in the movie.
        pixelsize: of the input image (calibration times camera binning), Å.
        high_tension: kV.
        totaldose: of the whole movie, e/Å², or None when unknown or not positive.
        frame_flip, frame_rotate: the camera's geometry (rotate in quarter turns, 0 to 3).
        gain: path of the gain reference in Leginon's orientation, or empty.
        dark_source, dark_nframes: path of the dark image as stored by Leginon and its frame count, or empty and 0.
        dark: path of the dark written for the program, or empty (filled by prepare).
        defects: bad pixels; defect_map: path written for the program, or empty (filled by prepare).
        rundir: the run folder; scratch: folder under which each exposure gets a scratch folder of its own.
        timeout: seconds after which the program is killed.
        check_orientation: correlate the sum with Leginon's own picture.
        undo_eer_flip: whether the program's EER output is upside down (setting, else by program).
    """

    image_id: int
    filename: str
    session_id: int
    image_path: str
    preset: str | None
    camera_dimension: tuple[int, int]
    camera_binning: tuple[int, int]
    movie: str
    movie_format: str
    nframes: int
    pixelsize: float
    high_tension: int
    totaldose: float | None
    frame_flip: bool
    frame_rotate: int
    rundir: str
    scratch: str
    options: MotionCorrectionOptions
    program: Program
    gain: str = ""
    dark_source: str = ""
    dark_nframes: int = 0
    dark: str = ""
    defects: Defects = field(default_factory=Defects)
    defect_map: str = ""
    other_movies: tuple[str, ...] = ()
    timeout: float = 3600.0
    check_orientation: bool = False
    undo_eer_flip: bool | None = None

    @property
    def is_eer(self) -> bool:
        return self.movie_format == "eer"


@dataclass(frozen=True)
class MotionCorrectionResult:
    """What a worker returns for one exposure.

    Attributes:
        params: the record it was computed from, with every path filled in.
        argv: the program's command line as it ran.
        host, started, seconds: where, when (Unix time) and how long.
        shifts: (x, y) of each rendered frame as the program's log gives them, unbinned input pixels.
        positions: (x, y) of each frame relative to the middle one, negated, in pixels of the aligned image.
        sum_file, dw_file: the sums in the run folder, Leginon's orientation; dw_file is empty without dose weighting.
        shape: (rows, columns) of the sums.
        log_file, program_log_file: `<image>_st_Log.txt` and the program's own output, in the run folder.
        orientation: index 0 to 7 of the orientation that fits Leginon's picture best, or None if not looked at.
        orientation_scores: the eight correlations.
        warnings: lines worth showing to a person.
        stored_names: final file names once the daemon has chosen them (empty before); kept in the journal so that
            a daemon that died while storing goes on with the same names.
    """

    params: MotionCorrectionParams
    argv: tuple[str, ...]
    host: str
    started: float
    seconds: float
    shifts: tuple[tuple[float, float], ...]
    positions: tuple[tuple[float, float], ...]
    sum_file: str
    dw_file: str
    shape: tuple[int, int]
    log_file: str
    program_log_file: str
    orientation: int | None = None
    orientation_scores: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    stored_names: tuple[str, ...] = ()
