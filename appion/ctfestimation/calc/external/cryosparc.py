"""The fit that CryoSPARC has made: brought to the convention, judged on the micrograph, kept as a program's is."""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from pathlib import Path

from appion.base.calc.orientation import calcOrientation, turnAxisBy
from appion.base.failures import ImageFailure
from appion.base.records.belonging import checkExpected
from appion.base.records.cryosparc import CryosparcFit
from appion.base.store.files import moveFile
from appion.base.store.scratch import workInScratch
from appion.ctfestimation.calc.external.analysis import analyseFit
from appion.ctfestimation.calc.external.doubt import findDoubts
from appion.ctfestimation.calc.external.estimate import Estimate
from appion.ctfestimation.calc.external.micrograph import checkInput, readMicrograph
from appion.ctfestimation.calc.internal.convention import Fit, calcConfidence, calcDefocus, convertResolution
from appion.ctfestimation.records import CTFParams, CTFResult

#: Relative differences of pixel sizes and voltages that are not worth a word.
TOLERANCE = 0.02


def ingestCTF(params: CTFParams) -> CTFResult:
    """Take over CryoSPARC's fit of one micrograph; confidences, resolutions and pictures are made here.

    Raises:
        NotReady: the micrograph is missing or incomplete.
        ImageFailure: it is no micrograph, CryoSPARC's is another, or there is no fit.
        InfrastructureFailure: the host or a disk failed.
    """
    with workInScratch(*os.path.split(params.scratch)) as scratch:
        return _ingest(params, scratch, os.uname().nodename)


def _ingest(params: CTFParams, scratch: Path, host: str) -> CTFResult:
    found, started = params.cryosparc, time.time()
    if found is None:
        raise ImageFailure(f"nothing is known of CryoSPARC's CTF of {params.name}")
    if params.folder:
        checkExpected(params.folder)
        for folder in ("logfiles", "opimages"):
            Path(params.folder, folder).mkdir(parents=True, exist_ok=True)
    warnings = checkInput(params)
    orientation = findTurn(params, found)
    fit = constructFit(found, orientation)
    params, said = followFit(params, found)
    defocus1, defocus2, angle = calcDefocus(fit)
    estimate = Estimate((), fit)
    analysis = analyseFit(params, (defocus1, defocus2, angle), fit.phase_shift, estimate, scratch)
    if params.folder:
        (scratch / "fit.log").write_text(describeFit(params, found, orientation), encoding="utf-8")
        moveFile(scratch / "fit.log", Path(params.folder, "logfiles", f"{params.name}.log"))
    confidence_d = None if found.score is None else round(math.sqrt(found.score), 5)
    return CTFResult(
        params=params,
        defocus1=defocus1,
        defocus2=defocus2,
        angle_astigmatism=angle,
        cross_correlation=found.score if found.score is not None else found.correlation,
        confidence=calcConfidence(found.score or 0.0, confidence_d or 0.0, analysis.confidence),
        confidence_d=confidence_d,
        ctffind4_resolution=convertResolution(fit.resolution),
        extra_phase_shift=math.degrees(fit.phase_shift),
        argv=(),
        host=host,
        started=started,
        seconds=round(time.time() - started, 3),
        analysis=analysis.confidence,
        graphs=analysis.graphs,
        warnings=(*warnings, *said, *findDoubts(params, fit, analysis.confidence), *analysis.warnings),
    )


def findTurn(params: CTFParams, found: CryosparcFit) -> int:
    """Return by which of eight orientations CryoSPARC's micrograph becomes Leginon's: 0 if that was imported as it is.

    Raises:
        ImageFailure: it does not fit in any, so it is of something else, or nothing tells which.
    """
    path = found.micrograph.path
    if found.imported or os.path.realpath(path) == os.path.realpath(params.micrograph):
        return 0
    orientation, scores = calcOrientation(readMicrograph(path), readMicrograph(params.micrograph))
    if orientation is None:
        raise ImageFailure(
            f"how CryoSPARC's micrograph {path} lies to {params.micrograph} cannot be told (correlations up to "
            f"{max(scores):.2f}), and so not where the axis of astigmatism is",
            "are they of one exposure?",
        )
    return orientation


def constructFit(found: CryosparcFit, orientation: int) -> Fit:
    """Return CryoSPARC's fit as a program prints one, on a micrograph that was turned by an orientation."""
    angle = turnAxisBy(math.degrees(math.remainder(found.angle, math.pi)), orientation)
    resolution = found.resolution if found.resolution > 0 else math.nan
    score = found.score if found.score is not None else 0.0
    return Fit(found.defocus_u, found.defocus_v, angle, found.phase_shift, score, resolution)


def followFit(params: CTFParams, found: CryosparcFit) -> tuple[CTFParams, list[str]]:
    """Return the parameters with which CryoSPARC fitted, and warnings where Leginon has others.

    Defocus goes with the pixel size that was assumed, so the fit is judged with that one.
    """
    warnings, size = [], params.micrograph_pixelsize
    if found.micrograph.pixelsize and found.micrograph.shape[1]:
        size = found.micrograph.pixelsize * max(found.micrograph.shape) / max(params.dimension)
    if abs(size / params.micrograph_pixelsize - 1) > TOLERANCE:
        warnings.append(f"CryoSPARC assumed pixels of {size:.4g} Å, Leginon has {params.micrograph_pixelsize:.4g} Å: "
                        "defocus goes with the square of that")  # fmt: skip
    else:
        size = params.micrograph_pixelsize
    voltage = found.voltage or params.voltage
    if abs(voltage / params.voltage - 1) > TOLERANCE:
        warnings.append(f"CryoSPARC assumed {voltage:g} kV, Leginon has {params.voltage:g} kV")
    return replace(
        params, micrograph_pixelsize=size, pixelsize=size, voltage=voltage, cs=found.cs,
        amplitude_contrast=found.amplitude_contrast,
    ), warnings  # fmt: skip


def describeFit(params: CTFParams, found: CryosparcFit, orientation: int) -> str:
    """Return what stands where the output of a program would: what CryoSPARC told, and what no column exists for."""
    lines = [
        f"taken from CryoSPARC, {params.program.path}", f"micrograph {found.micrograph.path}",
        f"its orientation to {params.micrograph}: {orientation}", f"ctf/df1_A {found.defocus_u:.6g}",
        f"ctf/df2_A {found.defocus_v:.6g}", f"ctf/df_angle_rad {found.angle:.6g}",
        f"ctf/phase_shift_rad {found.phase_shift:.6g}", f"ctf/ctf_fit_to_A {found.resolution:.6g}",
        *(f"{name} {value}" for name, value in found.notes),
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)
