"""Running CTFFIND or ctffind-cpu on one micrograph."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from appion.base.failures import ImageFailure
from appion.base.programs.blame import classifyRun, explainFailure
from appion.base.programs.identify import isRunnable
from appion.base.programs.output import readText
from appion.base.programs.run import constructThreadVariables
from appion.base.store.scratch import saveOwner
from appion.ctfestimation.calc.external.conversation import converse
from appion.ctfestimation.calc.external.estimate import OUTPUT, SLOW, Estimate
from appion.ctfestimation.calc.external.parse import parseFit
from appion.ctfestimation.calc.external.prompts import ANSI, constructNames, findAnswer
from appion.ctfestimation.calc.internal.convention import Fit
from appion.ctfestimation.records import CTFParams

#: Scores below this are as good as those of noise.
LOW_SCORE = 0.03


def constructCtffindCmd(params: CTFParams) -> list[str]:
    """Return the command line: everything else is asked for."""
    return [params.program.path]


def runCtffind(params: CTFParams, scratch: Path) -> Estimate:
    """Run the program in `scratch` and return what it found. What it wrote is in the file OUTPUT there.

    Raises:
        ImageFailure: it failed on this micrograph: a question without an answer, an exit code, no time left, no fit.
        InfrastructureFailure, ConfigurationFailure: the host or the program is to blame.
    """
    argv = constructCtffindCmd(params)
    source, diagnostic = constructNames(params)
    (scratch / source).symlink_to(Path(params.input).absolute())
    output = scratch / OUTPUT
    talk = converse(
        argv, scratch, output, params.timeout,
        lambda pid: saveOwner(scratch, pid), lambda text: findAnswer(params, text),
        constructThreadVariables(params.threads),
    )  # fmt: skip
    said = ANSI.sub("", readText(output))
    failure = classifyRun(talk.run, said, params.timeout, SLOW, partial(isRunnable, params.program))
    if failure:
        raise failure
    found = scratch / diagnostic
    values, averages = found.with_suffix(".txt"), found.with_name(f"{found.stem}_avrot.txt")
    if not values.exists():
        raise explainFailure(f"the program wrote no {values.name}", said)
    try:
        fit = parseFit(readText(values))
    except ImageFailure as error:
        error.log_tail = f"{error.log_tail}\n{said}"[-4000:]
        raise
    fit, warnings = selectSample(params, fit)
    if fit.score < LOW_SCORE:
        warnings = (f"score {fit.score:g}: no more than noise gives", *warnings)
    return Estimate(tuple(argv), fit, found, averages, (values, averages), answers=talk.answers, warnings=warnings)


def selectSample(params: CTFParams, fit: Fit) -> tuple[Fit, tuple[str, ...]]:
    """Return a fit with what was asked for about the sample, and warnings about what of it was not found.

    The program writes 0 for what it did not look for, which is not the same as no tilt; a thickness may be negative.
    """
    warnings = []
    if params.tilt and fit.tilt_angle is None:
        warnings.append("the program gave no tilt of the sample")
    thickness = fit.thickness if params.thickness is not None and (fit.thickness or 0) > 0 else None
    if params.thickness is not None and thickness is None:
        found = "" if fit.thickness is None else f": {fit.thickness:g} Å is none"
        warnings.append(f"the program found no thickness of the sample{found}")
    tilt, axis = (fit.tilt_angle, fit.tilt_axis_angle) if params.tilt else (None, None)
    return replace(fit, tilt_angle=tilt, tilt_axis_angle=axis, thickness=thickness), tuple(warnings)
