"""The plain records that flow through CTF estimation: parameters of one micrograph, result of one micrograph.

All are frozen and hold nothing but plain values. Units, here and wherever they go: Å for defocus and every other
length, mm for the spherical aberration alone, kV, degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

from appion.base.records.cryosparc import CryosparcFit
from appion.base.records.program import Program
from appion.base.records.task import Computed, Origin, Task


@dataclass(frozen=True)
class PhaseSearch:
    """The phase shifts to search, degrees."""

    minimum: float
    maximum: float
    step: float


@dataclass(frozen=True)
class ThicknessSearch:
    """How CTFFIND 5 looks for the thickness of the sample, by the nodes that it makes in the CTF.

    Attributes:
        brute_force, refine: whether it searches exhaustively in one dimension, and refines in two.
        low, high: limits of the fit of nodes, Å.
        rounded, downweight: nodes as rounded squares; nodes weighted down.
    """

    brute_force: bool = False
    refine: bool = False
    low: float = 30.0
    high: float = 3.0
    rounded: bool = False
    downweight: bool = False


@dataclass(frozen=True)
class LocalRefinement:
    """Gctf's local refinement: raster, radius and box in pixels, overlap as a fraction."""

    raster: int = 200
    radius: int = 1024
    boxsize: int = 512
    overlap: float = 0.5


@dataclass(frozen=True)
class CTFOptions:
    """What a command line asks for.

    Attributes:
        ampcontrast: amplitude contrast, fraction. fieldsize: side of the amplitude spectrum, pixels.
        resmin, resmax: limits of the fit, Å.
        defstep: step of the defocus search, Å; numstep: steps to each side of its centre. dast: tolerated astigmatism,
            Å.
        nominal: centre of the search, Å, or None. bestdb: contrast, astigmatism and resmax follow an earlier result.
        ddstackid: run whose movies are used in place of micrographs, or None; frame_average: frames averaged then.
        phase, exhaustive, tilt, thickness, epa, hires_refine, local, astig, analyse: as in CTFParams.
        cryosparc: folder whose fits are taken, empty where a program runs.
    """

    ampcontrast: float = 0.07
    fieldsize: int = 1024
    resmin: float = 50.0
    resmax: float = 15.0
    defstep: float = 1000.0
    numstep: int = 25
    dast: float = 500.0
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
    tilt: bool = False
    thickness: ThicknessSearch | None = None
    astig: float = 0.05
    cryosparc: str = ""


@dataclass(frozen=True)
class CTFOrigin(Origin):
    """Where a micrograph comes from and where its row belongs. No calculation needs it.

    Attributes:
        options: what was asked for. defocus_init: centre of the search, Å.
        exposure, exposure_id: name and id of the exposure that the micrograph was made from, or its own. movies: where
            its movie may be. They are there only where CryoSPARC's results are taken.
    """

    options: CTFOptions
    defocus_init: float
    exposure: str = ""
    exposure_id: int = 0
    movies: tuple[str, ...] = ()


@dataclass(frozen=True)
class CTFParams:
    """Everything that is needed to estimate the CTF of one micrograph, and nothing else.

    Attributes:
        name: the name that this micrograph's files begin with.
        micrograph: path of the micrograph, which the analysis always uses.
        input: what the program reads: the micrograph, or a movie.
        dimension: (x, y) of the micrograph in pixels.
        pixelsize: of the input, Å; micrograph_pixelsize: of the micrograph, Å.
        voltage: kV. cs: mm. amplitude_contrast: fraction.
        fieldsize: side of the amplitude spectrum, pixels.
        resmin, resmax: limits of the fit, Å.
        defmin, defmax, defstep: search range, Å. astigmatism: tolerated, Å.
        program: what to run.
        scratch: what the path of the folder begins with in which it works: ``-<host>-<process>-<number>`` is added, and
            it is removed afterwards.
        folder: where the program's text files go, its output (in ``logfiles``) and the pictures (in ``opimages``);
            empty: none is kept, and no picture drawn.
        is_movie: whether the input is a movie; frame_average: frames to average then.
        phase: phase shifts to search, or None.
        exhaustive: ctffind's slow search.
        tilt, thickness: whether ctffind 5 looks for the tilt of the sample, and how for its thickness, or None.
        astig: the largest astigmatism that gctffind looks for, as a fraction of the defocus.
        epa, hires_refine, local: gctf's equiphase averaging, high-resolution refinement and local refinement.
        analyse: whether confidences, resolutions and pictures of them are made.
        threads: that a program on the processor uses; 0: by the variable OMP_NUM_THREADS.
        timeout: seconds after which the program is killed.
        cryosparc: what CryoSPARC found, where that is taken instead of running a program.
    """

    name: str
    micrograph: str
    input: str
    dimension: tuple[int, int]
    pixelsize: float
    micrograph_pixelsize: float
    voltage: float
    cs: float
    amplitude_contrast: float
    fieldsize: int
    resmin: float
    resmax: float
    defmin: float
    defmax: float
    defstep: float
    astigmatism: float
    program: Program
    scratch: str
    folder: str = ""
    is_movie: bool = False
    frame_average: int = 1
    phase: PhaseSearch | None = None
    exhaustive: bool = False
    epa: bool = False
    hires_refine: bool = False
    local: LocalRefinement | None = None
    analyse: bool = True
    threads: int = 0
    timeout: float = 1200.0
    tilt: bool = False
    thickness: ThicknessSearch | None = None
    astig: float = 0.05
    cryosparc: CryosparcFit | None = None


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
    """What was found for one micrograph. Fields up to `extra_phase_shift` are named after `ApCtfData` columns.

    Attributes:
        params: what it was computed from.
        defocus1, defocus2: Å, positive for underfocus, defocus1 the smaller one.
        angle_astigmatism: axis of defocus1, degrees, -90 to 90.
        cross_correlation: the program's score. confidence_d: its square root. None where the program has none.
        confidence: the best of these and of the analysis, 0 to 1.
        ctffind4_resolution: Å, 100000 where the program gives none.
        extra_phase_shift: degrees.
        argv: the program's command line as it ran.
        host, started, seconds: where, when (Unix time) and how long.
        analysis: confidences and resolutions, or None where the analysis is left out or impossible.
        graphs: base names of the pictures in `opimages`, as graph1 to graph4; an empty one was not made.
        localplot, localCTFstarfile: of gctf's local refinement, or empty.
        tilt_angle, tilt_axis_angle (degrees), thickness (Å): of ctffind 5, None where not asked for or not found.
        ice_ring: power of the ring of crystalline ice, see calcIceRing; None where the program gives no average.
        answers: each prompt of the program with the answer it got.
        warnings: lines worth showing to a person.
    """

    params: CTFParams
    defocus1: float
    defocus2: float
    angle_astigmatism: float
    cross_correlation: float | None
    confidence: float
    confidence_d: float | None
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
    ice_ring: float | None = None
    answers: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


#: What is submitted for a micrograph, and what is kept of it until it is stored.
CTFTask = Task[CTFOrigin, CTFParams]
ComputedCTF = Computed[CTFOrigin, CTFResult]
