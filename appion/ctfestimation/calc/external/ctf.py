"""The CTF estimation of one micrograph: run the program, check and analyse its fit."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

from appion.base.programs.follow import followProgram
from appion.base.records.belonging import checkExpected
from appion.base.store.files import moveFile
from appion.base.store.scratch import workInScratch
from appion.ctfestimation.calc.external.analysis import analyseFit, measureIce
from appion.ctfestimation.calc.external.ctffind import constructCtffindCmd, runCtffind
from appion.ctfestimation.calc.external.doubt import findDoubts
from appion.ctfestimation.calc.external.estimate import OUTPUT, Estimate
from appion.ctfestimation.calc.external.gctf import constructGctfCmd, runGctf
from appion.ctfestimation.calc.external.gctffind import constructGctffindCmd, runGctffind
from appion.ctfestimation.calc.external.micrograph import checkInput
from appion.ctfestimation.calc.internal.convention import calcConfidence, calcDefocus, convertResolution
from appion.ctfestimation.records import CTFParams, CTFResult


def constructArgv(params: CTFParams) -> list[str]:
    """Return the command line of the program for this micrograph."""
    construct = {"gctf": constructGctfCmd, "gctffind": constructGctffindCmd}
    return construct.get(params.program.kind, constructCtffindCmd)(params)


def calcCTF(params: CTFParams) -> CTFResult:
    """Estimate the CTF of one micrograph and return what was found.

    The program runs in a scratch folder of its own. If `params` name a folder, what it printed goes to
    ``logfiles/<name>.log`` in it, its text files beside that, its picture and those drawn here to ``opimages``; nothing
    else is written. Where confidences or pictures cannot be made, or the fit found no rings, the result says so in its
    warnings.

    Raises:
        NotReady: the input is missing or incomplete.
        ImageFailure: the input is no micrograph, the program failed on it, or what it found is no fit.
        InfrastructureFailure: the host, its GPU or a disk failed.
        ConfigurationFailure: the program is missing.
    """
    with workInScratch(*os.path.split(params.scratch)) as scratch:
        return _estimate(params, scratch, os.uname().nodename)


def _estimate(params: CTFParams, scratch: Path, host: str) -> CTFResult:
    if params.folder:
        checkExpected(params.folder)
    for folder in ("logfiles", "opimages") if params.folder else ():
        Path(params.folder, folder).mkdir(parents=True, exist_ok=True)
    warnings = checkInput(params)
    started = time.time()
    log = Path(params.folder, "logfiles", f"{params.name}.log") if params.folder else None
    folders = (scratch, *(Path(params.folder, name) for name in ("logfiles", "opimages") if params.folder))
    with followProgram(params.program, constructArgv(params), scratch / OUTPUT, log, folders, (params.input,)):
        run = {"gctf": runGctf, "gctffind": runGctffind}.get(params.program.kind, runCtffind)
        estimate = run(params, scratch)
    fit = estimate.fit
    defocus1, defocus2, angle = calcDefocus(fit)
    analysis = analyseFit(params, (defocus1, defocus2, angle), fit.phase_shift, estimate, scratch)
    ice_ring = measureIce(params, estimate)
    kept = _keepFiles(params, estimate)
    confidence_d = round(math.sqrt(abs(fit.score)), 5)
    return CTFResult(
        params=params,
        defocus1=defocus1,
        defocus2=defocus2,
        angle_astigmatism=angle,
        cross_correlation=fit.score,
        confidence=calcConfidence(fit.score, confidence_d, analysis.confidence),
        confidence_d=confidence_d,
        ctffind4_resolution=convertResolution(fit.resolution),
        extra_phase_shift=math.degrees(fit.phase_shift),
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
        ice_ring=ice_ring,
        answers=estimate.answers,
        warnings=(*warnings, *estimate.warnings, *findDoubts(params, fit, analysis.confidence), *analysis.warnings),
    )


def _keepFiles(params: CTFParams, estimate: Estimate) -> list[Path]:
    """Move the program's files to where classic Appion leaves them; return the text files that were there."""
    if not params.folder:
        return []
    folder = Path(params.folder)
    texts = [path for path in estimate.texts if path.exists()]
    for path in texts:
        moveFile(path, folder / path.name)
    if estimate.diagnostic is not None and estimate.diagnostic.exists():
        moveFile(estimate.diagnostic, folder / "opimages" / f"{params.name}-pow.mrc")
    return texts
