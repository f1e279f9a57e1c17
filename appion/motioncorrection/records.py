"""The plain records that flow through motion correction: options, parameters of one exposure, result of one exposure.

All are frozen and hold nothing but plain values, so that they can be sent to a worker, written to the journal as JSON
and compared. Units, here and wherever they go: Å per pixel, kV, e/Å², seconds, pixels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from appion.base.records.cryosparc import CryosparcMotion
from appion.base.records.program import Program
from appion.base.records.task import Computed, Origin, Task


@dataclass(frozen=True)
class MotionCorrectionOptions:
    """The command-line options that shape the program's command, the names and the rows (classic's dests).

    `cryosparc` is the folder whose results are taken, empty where a program runs; `as_stored`: its rows are not turned
    upside down.
    """

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
    inskips: tuple[str, ...] = ()
    cs: float | None = None
    ampcont: float | None = None
    extphase: int | None = None
    cryosparc: str = ""
    as_stored: bool = False


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
class References:
    """What the program's reference files are made from, as Leginon has it.

    Attributes:
        gain: path of the gain reference in Leginon's orientation, or empty.
        dark, dark_nframes: path of the dark image and the number of frames that it sums up, or empty and 0.
        defects: bad pixels.
        normalise_gain: whether a gain reference whose mean is far from 1 is divided by it.
    """

    gain: str = ""
    dark: str = ""
    dark_nframes: int = 0
    defects: Defects = field(default_factory=Defects)
    normalise_gain: bool = False


@dataclass(frozen=True)
class MotionCorrectionOrigin(Origin):
    """Where an exposure comes from and where its sums belong. No calculation needs it.

    Attributes:
        image_path: where Leginon keeps the session's images.
        preset: name of the source preset, or None.
        camera_dimension, camera_binning: (x, y) of the source camera row.
        references: what the program's reference files are made from.
        other_movies: where the movie may be as well, if it is not there yet.
        stored_names: final file names of the sums once the daemon has chosen them (empty before); kept in the journal
            so that a daemon that died while storing goes on with the same names.
    """

    image_path: str
    preset: str | None
    camera_dimension: tuple[int, int]
    camera_binning: tuple[int, int]
    references: References = field(default_factory=References)
    other_movies: tuple[str, ...] = ()
    stored_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class MotionCorrectionFiles:
    """Paths of what stays of an exposure: both sums, the shifts in motioncorr's format, the program's own output.

    Their folders exist, but for that of the pictures. `weighted` is not written without dose weighting, and neither
    small picture nor plot of the drift where their path is empty.
    """

    sum: str
    weighted: str
    shift_log: str
    program_log: str
    thumbnail: str = ""
    drift_plot: str = ""

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of what makes the result."""
        return tuple({os.path.dirname(path): None for path in (
            self.sum, self.weighted, self.shift_log, self.program_log) if path})  # fmt: skip


@dataclass(frozen=True)
class MotionCorrectionParams:
    """Everything that is needed to correct one movie, and nothing else.

    Attributes:
        name: what files in the scratch folder and messages are called after.
        movie, movie_format: the movie's path and mrc, tif or eer.
        nframes: raw frames that the movie has to have at least, but for `missing_frames` of them: then the dose is
            that of those there.
        pixelsize: of the input image (not upsampled, not binned), Å.
        voltage: kV.
        program: what to run.
        files: what to write.
        scratch: what the path of the folder begins with in which it works: ``-<host>-<process>-<number>`` is added, and
            it is removed afterwards.
        options: how.
        totaldose: of the whole movie, e/Å², or None when unknown.
        frame_flip, frame_rotate: how the frames lie to the gain reference and to the sums (see calcFrameOrientation);
            rotate in quarter turns, 0 to 3.
        gain, dark, defect_map: paths of the reference files as the program takes them, or empty.
        missing_frames: raw frames that may be missing.
        leave_out_odd_frames: whether motioncor-cpu leaves frames out that are not like the others.
        frame_shape: (rows, columns) that a frame should have, or None where nobody knows.
        picture: path of an image to compare the orientation of the sum with, or empty.
        undo_eer_flip: whether the program's EER output is upside down; None: known by the program.
        threads: that a program on the processor uses; 0: by the variable OMP_NUM_THREADS.
        timeout: seconds after which the program is killed.
        cryosparc: what CryoSPARC found, where that is taken instead of running a program.
    """

    name: str
    movie: str
    movie_format: str
    nframes: int
    pixelsize: float
    voltage: float
    program: Program
    files: MotionCorrectionFiles
    scratch: str
    options: MotionCorrectionOptions = field(default_factory=MotionCorrectionOptions)
    totaldose: float | None = None
    frame_flip: bool = False
    frame_rotate: int = 0
    gain: str = ""
    dark: str = ""
    defect_map: str = ""
    missing_frames: int = 0
    leave_out_odd_frames: bool = False
    frame_shape: tuple[int, int] | None = None
    picture: str = ""
    undo_eer_flip: bool | None = None
    threads: int = 0
    timeout: float = 3600.0
    cryosparc: CryosparcMotion | None = None

    @property
    def is_eer(self) -> bool:
        return self.movie_format == "eer"


@dataclass(frozen=True)
class MotionCorrectionResult:
    """What was made of one movie.

    Attributes:
        params: what it was computed from.
        argv: the program's command line as it ran.
        host, started, seconds: where, when (Unix time) and how long.
        shifts: (x, y) of each rendered frame as the program's log gives them, unbinned input pixels.
        positions: (x, y) of each frame relative to the middle one, negated, in pixels of the aligned image.
        sum_file, dw_file: the sums, in the orientation of the gain reference; dw_file is empty without dose weighting,
            sum_file where CryoSPARC kept the weighted one alone.
        shape: (rows, columns) of the sums.
        log_file, program_log_file: the shifts in motioncorr's format and the program's own output.
        orientation: index 0 to 7 of the orientation that fits the picture best, or None if not looked at.
        orientation_scores: the eight correlations.
        mean: of the pixels of the sum that is not weighted by dose, as the program wrote it; None: not known.
        local_motion: root mean square of the motion beyond the whole frames', pixels of the rendered frames, 0 where
            none was found; None: not looked for, or the program does not tell.
        warnings: lines worth showing to a person.
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
    mean: float | None = None
    local_motion: float | None = None
    warnings: tuple[str, ...] = ()


#: What is submitted for an exposure, and what is kept of it until it is stored.
MotionCorrectionTask = Task[MotionCorrectionOrigin, MotionCorrectionParams]
ComputedCorrection = Computed[MotionCorrectionOrigin, MotionCorrectionResult]
