"""Running Gctf on one micrograph: command line, log.

Gctf cannot be had freely, so this has been tried on logs written after its format only, not on the program.
"""

from __future__ import annotations

import math
import os
import re
from itertools import pairwise
from pathlib import Path

from appion.base.failures import ImageFailure
from appion.base.programs.blame import classifyRun, explainFailure
from appion.base.programs.run import runProgram
from appion.base.store.scratch import saveOwner
from appion.ctfestimation.calc.external.estimate import OUTPUT, SLOW, Estimate
from appion.ctfestimation.calc.external.prompts import ANSI, formatNumber
from appion.ctfestimation.calc.external.star import calcRaster, constructRasterStar
from appion.ctfestimation.calc.internal.convention import Fit
from appion.ctfestimation.records import CTFParams

#: End of the raster's name, by which Gctf finds it beside the micrograph.
RASTER = "_raster.star"

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
        raster.write_text(constructRasterStar(points, micrograph.name))
    output = scratch / OUTPUT
    run = runProgram(
        argv, scratch, output, params.timeout, lambda pid: saveOwner(scratch, pid), constructEnvironment()
    )
    said = output.read_bytes().decode("utf-8", "replace")
    log = scratch / f"{params.name}_gctf.log"
    text = log.read_bytes().decode("utf-8", "replace") if log.exists() else said
    failure = classifyRun(run, said or text, params.timeout, SLOW)
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


def constructEnvironment() -> dict[str, str]:
    """Return the variables that keep Gctf on this worker's GPU: its command line is left as classic Appion has it."""
    gpu = os.environ.get("APPION_GPU")
    if not gpu:
        return {}
    visible = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    chosen = visible[int(gpu)] if gpu.isdecimal() and int(gpu) < len(visible) else gpu
    return {"CUDA_VISIBLE_DEVICES": chosen}


def parseGctfLog(text: str) -> Fit:
    """Return the last final values in Gctf's log; the resolution is inf where the log gives none.

    The line after one that begins with "Defocus_U" holds defocus U and V (Å), the angle (degrees), with a phase search
    the phase shift (degrees), and the cross correlation, followed by the words "Final Values".

    Raises:
        ImageFailure: there are no such values, or they are not finite numbers.
    """
    lines = [line.strip() for line in ANSI.sub("", text).replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line]
    rows = [after.split() for line, after in pairwise([*lines, ""]) if line.startswith("Defocus_U")]
    final = [words[:-2] for words in rows if words[-2:] == ["Final", "Values"]]
    if not final:
        raise ImageFailure("Gctf's log has no line of 'Final Values' after 'Defocus_U'", log_tail=text[-4000:])
    try:
        values = [float(word) for word in final[-1]]
    except ValueError:
        values = []
    if len(values) not in (4, 5) or not all(map(math.isfinite, values)):
        given = " ".join(final[-1])[:200]
        raise ImageFailure(
            f"the values in Gctf's log are not four or five finite numbers: {given}", log_tail=text[-4000:]
        )
    phase = round(math.radians(values[3]), 5) if len(values) == 5 else 0.0
    return Fit(values[0], values[1], values[2], phase, values[-1], _findResolution(lines))


def _findResolution(lines: list[str]) -> float:
    """Return the resolution in the last line about it: after "RES_LIMIT", or in older logs after the colon alone."""
    found = [match[1] for match in map(RESOLUTION.match, lines) if match]
    return float(found[-1]) if found else math.inf
