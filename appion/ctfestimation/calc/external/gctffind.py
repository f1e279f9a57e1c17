"""Running GCtfFind on one micrograph: command line, the file with its fit, how it fails.

It is free, but needs a GPU: this follows the source of version 1.1.2.
"""

from __future__ import annotations

import math
import os
import re
from functools import partial
from pathlib import Path

from appion.base.failures import Failure, ImageFailure, InfrastructureFailure
from appion.base.programs.blame import TAIL, classifyRun, explainFailure
from appion.base.programs.identify import isRunnable
from appion.base.programs.output import readText
from appion.base.programs.run import runProgram
from appion.base.records.program import Program
from appion.base.retrieve.movies import readMovieHeader
from appion.base.store.scratch import saveOwner
from appion.ctfestimation.calc.external.estimate import OUTPUT, SLOW, Estimate
from appion.ctfestimation.calc.internal.convention import Fit
from appion.ctfestimation.records import CTFParams, PhaseSearch

#: Names longer than this are cut by the program, which copies them into 256 bytes.
MAX_NAME = 240

#: MRC modes that it reads; of others it makes nothing and crashes.
MODES = (0, 1, 2, 5, 6)

#: The last version of which the meaning of its options is known.
KNOWN = (1, 1, 2)

#: Numbers of a row: index, tilt, defocus of both axes (Å), azimuth, phase shift (degrees), score. A file name follows.
NUMBERS = 7


def constructGctffindCmd(params: CTFParams) -> list[str]:
    """Return the command line: Å, kV, mm, phase shift in degrees; files by names in the folder that it runs in.

    A phase shift is searched for only if asked for: by its centre and the width of the range. ``-Serial`` is always
    given, because the program leaves it to chance otherwise, and ``-Gpu`` is that of this worker.
    """
    name = params.name
    return [
        params.program.path,
        "-InMrc", f"{name}.mrc",
        "-OutMrc", f"{name}-pow.mrc",
        "-OutCtf", f"{name}.ctf.txt",
        "-Cs", f"{params.cs:.3f}",
        "-kV", f"{params.voltage:.0f}",
        "-PixSize", f"{params.pixelsize:.5f}",
        "-TileSize", str(params.fieldsize),
        "-AmpContrast", f"{params.amplitude_contrast:.4f}",
        "-AstRange", f"{params.astig:.3f}",
        *_constructPhase(params.phase),
        "-Serial", "0",
        "-Gpu", os.environ.get("APPION_GPU") or "0",
    ]  # fmt: skip


def _constructPhase(phase: PhaseSearch | None) -> list[str]:
    if phase is None:
        return []
    return ["-ExtPhase", f"{(phase.minimum + phase.maximum) / 2:.1f}", f"{phase.maximum - phase.minimum:.1f}"]


def listReservations(program: Program, phase: bool, astig_given: bool) -> list[str]:
    """Return which options have no effect with this version of GCtfFind, or whose meaning to it is not known."""
    version = tuple(map(int, re.findall(r"\d+", program.version)))
    name = f"GCtfFind {program.version or 'of unknown version'}"
    if version and version <= KNOWN:
        return [f"--astig has no effect with {name}, which looks for up to 0.06"] if astig_given else []
    known = ".".join(map(str, KNOWN))
    text = f"{name} is given the phase shifts as {known} takes them, centre and width of the range: check first results"
    return [text] if phase else []


def runGctffind(params: CTFParams, scratch: Path) -> Estimate:
    """Run GCtfFind in `scratch` and return what it found. What it printed is in the file OUTPUT there.

    Its exit code says little: it ends with 0 where it could write nothing or could not fit.

    Raises:
        ImageFailure: it cannot take or failed on this micrograph: an exit code, no time left, no fit in its file.
        InfrastructureFailure, ConfigurationFailure: the host or the program is to blame.
    """
    checkMicrograph(params)
    argv = constructGctffindCmd(params)
    (scratch / f"{params.name}.mrc").symlink_to(Path(params.input).absolute())
    output = scratch / OUTPUT
    run = runProgram(argv, scratch, output, params.timeout, lambda pid: saveOwner(scratch, pid))
    said = readText(output)
    failure = findGPUTrouble(run.returncode if not run.stopped else 0, said)
    failure = failure or classifyRun(run, said, params.timeout, SLOW, partial(isRunnable, params.program))
    if failure:
        raise failure
    values = scratch / f"{params.name}.ctf.txt"
    if not values.exists():
        raise explainFailure(f"the program wrote no {values.name}", said)
    try:
        fit = parseGctffindFile(readText(values))
    except ImageFailure as error:
        raise explainFailure(error.reason, said, ended_well=True) from error
    return Estimate(argv=tuple(argv), fit=fit, diagnostic=scratch / f"{params.name}-pow.mrc", texts=(values,))


def checkMicrograph(params: CTFParams) -> None:
    """Raise ImageFailure for what the program cannot read, or would take for something else."""
    header = readMovieHeader(params.input)
    if len(f"{params.name}-pow.mrc".encode()) > MAX_NAME:
        raise ImageFailure(f"the name {params.name} is too long for GCtfFind, which would cut it", "rename the image")
    if header.nframes > 1:
        raise ImageFailure(f"{params.input} has {header.nframes} sections: GCtfFind takes it for a tilt series",
                           "give it micrographs")  # fmt: skip
    if header.mode not in MODES:
        raise ImageFailure(f"{params.input} is an MRC file of mode {header.mode}, which GCtfFind does not read",
                           "have it written as 32-bit numbers (mode 2), or use CTFFIND")  # fmt: skip


def findGPUTrouble(returncode: int, said: str) -> Failure | None:
    """Return why the program ended with 1: it found no GPU that it can use, and often says nothing about it."""
    if returncode != 1:
        return None
    lines = [line.strip() for line in said.splitlines() if "invalid gpu" in line.lower()]
    return InfrastructureFailure(
        f"the program ended with exit code 1: {lines[-1][:200] if lines else 'most likely it found no GPU'}",
        "look after the GPUs of this host and the setting ctfestimation.gpus", log_tail=said[-TAIL:],
    )  # fmt: skip


def parseGctffindFile(text: str) -> Fit:
    """Return the fit in the file that GCtfFind writes: a header, and one row for one micrograph.

    Its smaller defocus comes first; the azimuth is the axis of the larger one. It tells no resolution: that is inf.

    Raises:
        ImageFailure: no row or several, something else than finite numbers, or a defocus that is none.
    """
    rows = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(rows) != 1:
        raise ImageFailure(f"GCtfFind's file has {len(rows)} rows of values instead of one", log_tail=text[-1000:])
    words = rows[0].split(maxsplit=NUMBERS)[:NUMBERS]  # the name that follows may hold blanks
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) < NUMBERS or not all(map(math.isfinite, values)):
        raise ImageFailure(f"GCtfFind's row does not begin with seven finite numbers: {rows[0].strip()[:200]}",
                           log_tail=text[-1000:])  # fmt: skip
    _, _, least, most, azimuth, phase, score = values
    if least <= 0:
        raise ImageFailure(f"GCtfFind found a defocus of {least:g} Å, which is none", log_tail=text[-1000:])
    return Fit(most, least, azimuth, math.radians(phase), score, math.inf)
