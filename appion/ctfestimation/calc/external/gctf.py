"""Running Gctf on one micrograph: command line, log.

Gctf cannot be had freely, so this has been tried on logs written after its format only, not on the program.
"""

from __future__ import annotations

import math
import os
import re
from functools import partial
from pathlib import Path

from appion.base.failures import ImageFailure
from appion.base.programs.blame import classifyRun, explainFailure
from appion.base.programs.identify import isRunnable
from appion.base.programs.output import readText
from appion.base.programs.run import runProgram
from appion.base.store.scratch import saveOwner
from appion.ctfestimation.calc.external.estimate import OUTPUT, SLOW, Estimate
from appion.ctfestimation.calc.external.prompts import ANSI, formatNumber
from appion.ctfestimation.calc.external.star import calcRaster, constructRasterStar
from appion.ctfestimation.calc.internal.convention import Fit
from appion.ctfestimation.records import CTFParams

#: End of the raster's name, by which Gctf finds it beside the micrograph.
RASTER = "_raster.star"

#: A row of final values: numbers, the words, and whatever says of which fit they are.
FINAL = re.compile(r"([-+.\d].*?|(?:nan|inf)\b.*?)\s+Final\s+Values\b", re.IGNORECASE)

RESOLUTION = re.compile(r"Resolution limit\b(?:.*\bRES_LIMIT\b|.*:)[\s:=]*([-+]?\d+(?:\.\d*)?)", re.IGNORECASE)


def constructGctfCmd(params: CTFParams) -> list[str]:
    """Return the command line: Å, kV, mm, phase shifts in degrees. Flags that are not set are left out."""
    command = [
        params.program.path,
        "--apix", formatNumber(params.pixelsize),
        "--kv", formatNumber(params.voltage),
        "--cs", formatNumber(params.cs),
        "--ac", formatNumber(params.amplitude_contrast),
        "--boxsize", str(params.fieldsize),
        *(["--do_EPA"] if params.epa else []),
        *(["--do_Hres_ref"] if params.hires_refine else []),
        "--mdef_ave_type", str(int(params.is_movie)),
        "--mdef_aveN", str(params.frame_average),
        "--resL", formatNumber(params.resmin),
        "--resH", formatNumber(params.resmax),
        "--defL", formatNumber(params.defmin),
        "--defH", formatNumber(params.defmax),
        "--defS", formatNumber(params.defstep),
        "--astm", formatNumber(params.astigmatism),
        f"{params.name}.mrc",
    ]  # fmt: skip
    if params.phase is not None:
        command += ["--phase_shift_H", formatNumber(params.phase.maximum)]
        command += ["--phase_shift_L", formatNumber(params.phase.minimum)]
        command += ["--phase_shift_S", formatNumber(params.phase.step)]
    if params.local is not None:
        command += ["--do_local_refine", "--boxsuffix", RASTER, "--local_radius", str(params.local.radius)]
        command += ["--local_boxsize", str(params.local.boxsize), "--local_overlap", formatNumber(params.local.overlap)]
    return command


def runGctf(params: CTFParams, scratch: Path) -> Estimate:
    """Run Gctf in `scratch` and return what it found. What it printed is in the file OUTPUT there.

    Raises:
        ImageFailure: it failed on this micrograph: an exit code, no time left, no values in its log.
        InfrastructureFailure, ConfigurationFailure: the host or the program is to blame.
    """
    argv = constructGctfCmd(params)
    micrograph = scratch / f"{params.name}.mrc"
    micrograph.symlink_to(Path(params.input).absolute())
    raster = scratch / f"{params.name}{RASTER}"
    if params.local is not None:
        points = calcRaster(params.dimension, params.local.raster)
        raster.write_bytes(os.fsencode(constructRasterStar(points, micrograph.name)))
    output = scratch / OUTPUT
    run = runProgram(
        argv, scratch, output, params.timeout, lambda pid: saveOwner(scratch, pid), constructGPUVariables()
    )
    said = readText(output)
    log = scratch / f"{params.name}_gctf.log"
    text = readText(log) if log.exists() else said
    failure = classifyRun(run, said or text, params.timeout, SLOW, partial(isRunnable, params.program))
    if failure:
        raise failure
    try:
        fit = parseGctfLog(text)
    except ImageFailure as error:
        raise explainFailure(error.reason, f"{text}\n{said}" if log.exists() else said) from error
    local = scratch / f"{params.name}_local.star"
    return Estimate(
        argv=tuple(argv),
        fit=fit,
        diagnostic=scratch / f"{params.name}.ctf",
        texts=(log, *((raster, local) if params.local is not None else ())),
        local=local if params.local is not None else None,
    )


def constructGPUVariables() -> dict[str, str]:
    """Return the variables that keep Gctf on this worker's GPU: its command line is left as classic Appion has it."""
    gpu = os.environ.get("APPION_GPU")
    if not gpu:
        return {}
    visible = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    chosen = visible[int(gpu)] if gpu.isdecimal() and int(gpu) < len(visible) else gpu
    return {"CUDA_VISIBLE_DEVICES": chosen}


def parseGctfLog(text: str) -> Fit:
    """Return the last final values in Gctf's log; the resolution is inf where the log gives none for them.

    Such a row holds defocus U and V (Å), the angle (degrees), with a phase search the phase shift (degrees), and the
    cross correlation, followed by the words "Final Values". With ``--do_Hres_ref`` there may be one of the fit before
    the refinement and one of that after it, which says so in brackets; a resolution belongs to the row before it.

    Raises:
        ImageFailure: there are no such values, or those of the last row are not finite numbers.
    """
    lines = [line.strip() for line in ANSI.sub("", text).replace("\r", "\n").split("\n")]
    final = [(number, match[1].split()) for number, line in enumerate(lines) if (match := FINAL.match(line))]
    if not final:
        raise ImageFailure("Gctf's log has no line of 'Final Values' after 'Defocus_U'", log_tail=text[-4000:])
    last, words = final[-1]
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) not in (4, 5) or not all(map(math.isfinite, values)):
        given = " ".join(words)[:200]
        raise ImageFailure(
            f"the values in Gctf's log are not four or five finite numbers: {given}", log_tail=text[-4000:]
        )
    phase = round(math.radians(values[3]), 5) if len(values) == 5 else 0.0
    resolution = _findResolution(lines if len(final) == 1 else lines[last:])
    return Fit(values[0], values[1], values[2], phase, values[-1], resolution)


def _findResolution(lines: list[str]) -> float:
    """Return the resolution in the last line about it: after "RES_LIMIT", or in older logs after the colon alone."""
    found = [match[1] for match in map(RESOLUTION.match, lines) if match]
    return float(found[-1]) if found else math.inf
