"""The CTF estimation of one micrograph on a worker: run the program, check and analyse its fit, note the result."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

from appion.base.failures import Failure
from appion.base.records.stamp import constructLogHeader
from appion.base.store.files import keepOutput, moveFile
from appion.base.store.journal import saveResult
from appion.base.store.scratch import workInScratch
from appion.ctfestimation.calc.external.analysis import analyseFit
from appion.ctfestimation.calc.external.ctffind import constructCtffindCmd, runCtffind
from appion.ctfestimation.calc.external.estimate import OUTPUT, Estimate
from appion.ctfestimation.calc.external.gctf import constructGctfCmd, runGctf
from appion.ctfestimation.calc.external.micrograph import checkInput
from appion.ctfestimation.calc.internal.convention import calcConfidence, calcDefocus, convertResolution
from appion.ctfestimation.calc.internal.encoding import encodeResult
from appion.ctfestimation.records import CTFParams, CTFResult


def constructArgv(params: CTFParams) -> list[str]:
    """Return the command line of the program for this micrograph."""
    return constructGctfCmd(params) if params.program.kind == "gctf" else constructCtffindCmd(params)


def calcCTF(params: CTFParams) -> CTFResult:
    """Estimate the CTF of one micrograph and return what was found.

    The program runs in a scratch folder of its own. What it printed goes to ``logfiles/<short>.log`` of the run
    folder, its text files to the run folder, its picture and those drawn here to ``opimages``; then the result is
    written to the journal. Where confidences or pictures cannot be made, the result says so in its warnings.

    Raises:
        NotReady: the input is missing or incomplete.
        ImageFailure: the input is no micrograph, the program failed on it, or what it found is no fit.
        InfrastructureFailure: the host, its GPU or a disk failed.
        ConfigurationFailure: the program is missing.
    """
    with workInScratch(params.scratch, params.image_id) as scratch:
        return _estimate(params, scratch, os.uname().nodename)


def _estimate(params: CTFParams, scratch: Path, host: str) -> CTFResult:
    rundir = Path(params.rundir)
    for folder in ("logfiles", "opimages"):
        (rundir / folder).mkdir(parents=True, exist_ok=True)
    warnings = checkInput(params)
    started = time.time()
    try:
        estimate = (runGctf if params.program.kind == "gctf" else runCtffind)(params, scratch)
    except Failure as failure:
        failure.command = failure.command or " ".join(constructArgv(params))
        raise
    finally:
        if (scratch / OUTPUT).exists():
            log = rundir / "logfiles" / f"{params.short}.log"
            keepOutput(scratch / OUTPUT, log, constructLogHeader(params.program))
    fit = estimate.fit
    defocus1, defocus2, angle = calcDefocus(fit)
    analysis = analyseFit(params, (defocus1, defocus2, angle), fit.phase_shift, estimate, scratch)
    kept = _keepFiles(params, estimate)
    confidence_d = round(math.sqrt(abs(fit.score)), 5)
    result = CTFResult(
        params=params,
        defocus1=defocus1,
        defocus2=defocus2,
        angle_astigmatism=angle,
        cross_correlation=fit.score,
        confidence=calcConfidence(fit.score, confidence_d, analysis.confidence),
        confidence_d=confidence_d,
        ctffind4_resolution=convertResolution(fit.resolution),
        extra_phase_shift=fit.phase_shift,
        argv=estimate.argv,
        host=host,
        started=started,
        seconds=round(time.time() - started, 3),
        analysis=analysis.confidence,
        graphs=analysis.graphs,
        localplot=analysis.localplot,
        localCTFstarfile=estimate.local.name if estimate.local in kept and estimate.local else "",
        tilt_angle=fit.tilt_angle,
        tilt_axis_angle=fit.tilt_axis_angle,
        thickness=fit.thickness,
        answers=estimate.answers,
        warnings=(*warnings, *estimate.warnings, *analysis.warnings),
    )
    saveResult(params.rundir, params.image_id, encodeResult(result))
    return result


def _keepFiles(params: CTFParams, estimate: Estimate) -> list[Path]:
    """Move the program's files to where classic Appion leaves them; return the text files that were there."""
    rundir = Path(params.rundir)
    texts = [path for path in estimate.texts if path.exists()]
    for path in texts:
        moveFile(path, rundir / path.name)
    if estimate.diagnostic.exists():
        moveFile(estimate.diagnostic, rundir / "opimages" / f"{params.short}-pow.mrc")
    return texts
