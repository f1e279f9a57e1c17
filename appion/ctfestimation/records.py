"""The plain records that flow through CTF estimation: parameters of one micrograph, result of one micrograph.

All are frozen and hold nothing but plain values. Units differ from field to field because the programs, the database
and the command line use different ones; every field says which.
"""

from __future__ import annotations

from dataclasses import dataclass

from appion.base.records.program import Program


@dataclass(frozen=True)
class PhaseSearch:
    """The phase shifts to search, degrees."""

    minimum: float
    maximum: float
    step: float


@dataclass(frozen=True)
class LocalRefinement:
    """Gctf's local refinement: raster, radius and box in pixels, overlap as a fraction."""

    raster: int = 200
    radius: int = 1024
    boxsize: int = 512
    overlap: float = 0.5


@dataclass(frozen=True)
class CTFOptions:
    """What a command line asks for, in its own units.

    Attributes:
        ampcontrast: amplitude contrast, fraction. fieldsize: side of the amplitude spectrum, pixels.
        resmin, resmax: limits of the fit, Å.
        defstep: step of the defocus search, µm; numstep: steps to each side of its centre. dast: tolerated
            astigmatism, µm.
        nominal: centre of the search, µm, or None. bestdb: contrast, astigmatism and resmax follow an earlier result.
        ddstackid: run whose movies are used in place of micrographs, or None; frame_average: frames averaged then.
        phase, exhaustive, epa, hires_refine, local, analyse: as in CTFParams.
    """

    ampcontrast: float = 0.07
    fieldsize: int = 1024
    resmin: float = 50.0
    resmax: float = 15.0
    defstep: float = 0.1
    numstep: int = 25
    dast: float = 0.05
    nominal: float | None = None
    bestdb: bool = False
    ddstackid: int | None = None
    frame_average: int = 7
    phase: PhaseSearch | None = None
    exhaustive: bool = False
    epa: bool = False
    hires_refine: bool = False
    local: LocalRefinement | None = None
    analyse: bool = True


@dataclass(frozen=True)
class CTFParams:
    """Everything that is needed to estimate the CTF of one micrograph and to write its row.

    Attributes:
        image_id, filename: the `AcquisitionImageData` row.
        short: the name that this image's files in the run folder begin with.
        session_id: its session.
        micrograph: path of the session's image, which the analysis always uses.
        input: what the program reads: the micrograph, or a movie.
        is_movie: whether the input is a movie; frame_average: frames to average then.
        dimension: (x, y) of the micrograph in pixels.
        pixelsize: of the input, Å; image_pixelsize: of the micrograph, Å.
        high_tension: kV. cs: mm. amplitude_contrast: fraction.
        fieldsize: side of the amplitude spectrum, pixels.
        resmin, resmax: limits of the fit, Å.
        defmin, defmax, defstep: search range, Å. astigmatism: tolerated, Å.
        defocus_init: centre of the search, m.
        phase: phase shifts to search, or None.
        exhaustive: ctffind's slow search.
        epa, hires_refine, local: gctf's equiphase averaging, high-resolution refinement and local refinement.
        analyse: whether confidences, resolutions and pictures are made (gctf's fast mode leaves them out).
        rundir: the run folder; scratch: folder under which each micrograph gets a scratch folder of its own.
        timeout: seconds after which the program is killed.
        options: what was asked for.
    """

    image_id: int
    filename: str
    short: str
    session_id: int
    micrograph: str
    input: str
    dimension: tuple[int, int]
    pixelsize: float
    image_pixelsize: float
    high_tension: float
    cs: float
    amplitude_contrast: float
    fieldsize: int
    resmin: float
    resmax: float
    defmin: float
    defmax: float
    defstep: float
    astigmatism: float
    defocus_init: float
    rundir: str
    scratch: str
    program: Program
    is_movie: bool = False
    frame_average: int = 1
    phase: PhaseSearch | None = None
    exhaustive: bool = False
    epa: bool = False
    hires_refine: bool = False
    local: LocalRefinement | None = None
    analyse: bool = True
    timeout: float = 1200.0
    options: CTFOptions = CTFOptions()


@dataclass(frozen=True)
class CTFConfidence:
    """What the analysis of a fit says; the fields are named after the columns of `ApCtfData`.

    Confidences are correlations of the normalised spectrum with the model (-1 to 1, 0 where they cannot be computed),
    resolutions are in Å (100 where the fit holds nowhere).
    """

    confidence_30_10: float
    confidence_5_peak: float
    overfocus_conf_30_10: float
    overfocus_conf_5_peak: float
    resolution_80_percent: float
    resolution_50_percent: float


@dataclass(frozen=True)
class CTFResult:
    """What a worker returns for one micrograph. Fields up to `extra_phase_shift` are named after `ApCtfData` columns.

    Attributes:
        defocus1, defocus2: m, positive for underfocus, defocus1 the smaller one.
        angle_astigmatism: axis of defocus1, degrees, -90 to 90.
        extra_phase_shift: radians.
        ctffind4_resolution: Å, 100000 where the program gives none.
        analysis: confidences and resolutions, or None where the analysis is left out or impossible.
        graphs: base names of the pictures in `opimages`, as graph1 to graph4; an empty one was not made.
        localplot, localCTFstarfile: of gctf's local refinement, or empty.
        tilt_angle, tilt_axis_angle (degrees), thickness (Å): of ctffind5, or None.
        answers: each prompt of the program with the answer it got.
    """

    params: CTFParams
    defocus1: float
    defocus2: float
    angle_astigmatism: float
    cross_correlation: float
    confidence: float
    confidence_d: float
    ctffind4_resolution: float
    extra_phase_shift: float
    argv: tuple[str, ...]
    host: str
    started: float
    seconds: float
    analysis: CTFConfidence | None = None
    graphs: tuple[str, str, str, str] = ("", "", "", "")
    localplot: str = ""
    localCTFstarfile: str = ""
    tilt_angle: float | None = None
    tilt_axis_angle: float | None = None
    thickness: float | None = None
    answers: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
