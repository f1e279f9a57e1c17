"""CTF estimation for anybody: one micrograph in, what was found out. No database, no run folder, no journal.

What is slow to import is imported when a CTF is estimated.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from appion.base.calc.limits import AMPLITUDE_CONTRAST, CS, HIGH_TENSION, PIXEL_SIZE, SEARCHED_DEFOCUS
from appion.base.failures import ConfigurationFailure
from appion.base.programs.named import findNamed
from appion.base.retrieve.arguments import checkCount, checkFile, checkNumber, checkQuantity, makeFolder
from appion.ctfestimation.calc.internal.nyquist import checkNyquist
from appion.ctfestimation.records import CTFParams, CTFResult, PhaseSearch

#: Anything that names a file.
AnyPath = str | os.PathLike[str]

#: What may be given as program.
PROGRAMS = (
    "give the name or path of CTFFIND 4 or 5, Gctf or GCtfFind, or program='ctffind-cpu', which comes with this package"
)


def estimateCTF(
    micrograph: AnyPath,
    output: AnyPath | None = None,
    *,
    pixelsize: float,
    voltage: float = 300.0,
    cs: float = 2.7,
    amplitude_contrast: float = 0.07,
    box: int = 512,
    resmin: float = 30.0,
    resmax: float = 5.0,
    defocus_min: float = 5000.0,
    defocus_max: float = 50000.0,
    defocus_step: float = 500.0,
    astigmatism: float = 500.0,
    phase_shift: Sequence[float] | None = None,
    exhaustive: bool = False,
    analyse: bool = True,
    program: AnyPath | None = None,
    threads: int | None = None,
    timeout: float = 1200.0,
    scratch: AnyPath | None = None,
) -> CTFResult:
    """Estimate the CTF of a micrograph and return what was found.

    Several calls may run at the same time, in threads, processes or on other hosts, if their outputs differ or the
    names of their micrographs do.

    Args:
        micrograph: MRC or TIFF; of a stack the last section counts.
        output: folder for pictures (``opimages``), the program's output (``logfiles``) and its text files, all called
            after the micrograph; it is made if need be. None: nothing is kept, and no picture drawn, which saves time.
        pixelsize: of the micrograph, Å.
        voltage: kV.
        cs: spherical aberration, mm.
        amplitude_contrast: fraction, 0 to 1.
        box: side of the amplitude spectrum, pixels; even.
        resmin, resmax: limits of the fit at low and high resolution, Å.
        defocus_min, defocus_max, defocus_step: search range, Å, positive for underfocus.
        astigmatism: that is tolerated, Å.
        phase_shift: (smallest, largest, step) of a search for a phase shift, degrees; None: no phase plate.
        exhaustive: search slowly (CTFFIND).
        analyse: whether confidences and resolutions are computed from the fit and the micrograph.
        program: name or path: CTFFIND 4 or 5, Gctf, or ``ctffind-cpu``, which ships with this package; None: searched
            for as ctffind4.py does it.
        threads: for a program that takes its number from OMP_NUM_THREADS; None: by that variable. ``ctffind-cpu``
            always uses one.
        timeout: seconds after which the program is killed.
        scratch: folder for temporary files; None: that of the system (TMPDIR, else /tmp).

    Raises:
        ConfigurationFailure: an argument is impossible, or there is no program; says what to do.
        NotReady: the micrograph is not complete.
        ImageFailure: it is no micrograph, the program failed on it, or what it found is no fit.
        InfrastructureFailure: the host, its GPU or a disk failed.
    """
    from appion.base.retrieve.movies import readMovieHeader
    from appion.ctfestimation.calc.external import calcCTF

    path = checkFile("micrograph", micrograph)
    rows, columns = readMovieHeader(path).shape
    size = checkQuantity("pixelsize", pixelsize, PIXEL_SIZE, 0.83)
    first, last = _readRange(defocus_min, defocus_max)
    coarse, fine = _readLimits(resmin, resmax)
    checkNyquist(coarse, size, "resmin")
    place = None if scratch is None else makeFolder("scratch", scratch)
    name = Path(path).stem.lstrip("-").strip() or "micrograph"
    with tempfile.TemporaryDirectory(prefix="appion-", dir=place, ignore_cleanup_errors=True) as folder:
        return calcCTF(CTFParams(
            name=name,
            micrograph=path,
            input=path,
            dimension=(columns, rows),
            pixelsize=size,
            micrograph_pixelsize=size,
            voltage=checkQuantity("voltage", voltage, HIGH_TENSION, 300),
            cs=checkQuantity("cs", cs, CS, 2.7),
            amplitude_contrast=checkQuantity("amplitude_contrast", amplitude_contrast, AMPLITUDE_CONTRAST, 0.07),
            fieldsize=_readBox(box),
            resmin=coarse,
            resmax=fine,
            defmin=first,
            defmax=last,
            defstep=checkNumber("defocus_step", defocus_step, "Å", 1, last - first, min(500.0, last - first)),
            astigmatism=checkNumber("astigmatism", astigmatism, "Å", 1, 1e5, 500),
            program=findNamed(program, "ctffind4", ("gctffind", "gctf", "ctffind5"), PROGRAMS),
            scratch=f"{folder}/{name[-100:]}",
            folder="" if output is None else makeFolder("output", output),
            phase=None if phase_shift is None else _readPhaseSearch(phase_shift),
            exhaustive=bool(exhaustive),
            analyse=bool(analyse),
            threads=0 if threads is None else checkCount("threads", threads, 1, 4096, 4),
            timeout=checkNumber("timeout", timeout, "s", 1, 1e7, 1200),
        ))  # fmt: skip


def _readRange(defocus_min: float, defocus_max: float) -> tuple[float, float]:
    first = checkQuantity("defocus_min", defocus_min, SEARCHED_DEFOCUS, 5000, "Å")
    last = checkQuantity("defocus_max", defocus_max, SEARCHED_DEFOCUS, 50000, "Å")
    if last - first < 1:
        raise ConfigurationFailure(
            f"defocus_max={last:g} is not above defocus_min={first:g}", "give the range of the search in Å"
        )
    return first, last


def _readLimits(resmin: float, resmax: float) -> tuple[float, float]:
    coarse = checkNumber("resmin", resmin, "Å", 1, 50, 30)
    fine = checkNumber("resmax", resmax, "Å", 0.5, 50, 5)
    if fine >= coarse:
        raise ConfigurationFailure(
            f"resmax={fine:g} is not below resmin={coarse:g}", "give both limits of the fit in Å, the finer as resmax"
        )
    return coarse, fine


def _readBox(box: int) -> int:
    side = checkCount("box", box, 128, 8192, 512)
    if side % 2:
        raise ConfigurationFailure(f"box={side} is odd", "give an even number of pixels, for example box=512")
    return side


def _readPhaseSearch(phase_shift: Sequence[float]) -> PhaseSearch:
    try:
        least, most, step = phase_shift
    except (TypeError, ValueError):
        raise ConfigurationFailure(
            f"phase_shift={phase_shift!r} is no search", "give (smallest, largest, step) in degrees"
        ) from None
    numbers = [checkNumber("phase_shift", value, "degrees", -180, 180, 90) for value in (least, most, step)]
    search = PhaseSearch(*numbers)
    if not (search.minimum < search.maximum and 0 < search.step <= search.maximum - search.minimum):
        raise ConfigurationFailure(
            f"phase_shift={phase_shift!r} is no search", "give (smallest, largest, step) in degrees"
        )
    return search
