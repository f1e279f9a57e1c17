"""Programs and GPUs: which ones there are, which versions, and which of those are known to be bad."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.calc.external.program import findProgram as findCTFProgram
from appion.doctor.finding import NOTE, TODO, WELL, Finding
from appion.motioncorrection.calc.external.program import BAD, KNOWN, findProgram
from appion.motioncorrection.records import Program

#: Seconds that a program gets to tell its version, and the driver to tell its GPUs.
PATIENCE = 10.0


def checkPrograms() -> Iterator[Finding]:
    """Find the programs of all steps."""
    yield from checkMotionCorrection()
    for name in ("ctffind", "gctf"):
        yield checkCTFProgram(name)


def checkMotionCorrection() -> Iterator[Finding]:
    """Find the program that corrects movies, and the GPUs it needs."""
    try:
        program = findProgram(setting("motioncorrection.executable") or "", timeout=PATIENCE)
    except ConfigurationFailure as failure:
        yield Finding(TODO, "program", failure.reason, failure.remedy)
        return
    yield judgeProgram(program)
    yield checkGPUs(needed=program.kind != "motioncor-cpu")


def judgeProgram(program: Program) -> Finding:
    """Judge a program that corrects movies by its version."""
    name = f"{program.kind} {program.version or '(version unknown)'} ({program.path})"
    for kind, versions, what, _ in BAD:
        if program.kind == kind and program.version in versions:
            return Finding(TODO, "program", f"{name} {what}", "install another version, or use motioncor2")
    if program.kind == "motioncor-cpu":
        return Finding(WELL, "program", f"{name}: computes on processors, neither motioncor2 nor motioncor3 is used")
    if not program.version.startswith(KNOWN[program.kind]):
        known = ", ".join(KNOWN[program.kind])
        return Finding(NOTE, "program", f"{name} has not been tried (tried: {known}): check its first results")
    return Finding(WELL, "program", name)


def checkCTFProgram(name: str) -> Finding:
    """Find the program of a CTF step. Gctf is only missed where a setting names it."""
    executable = setting(f"{name}.executable") or ""
    try:
        program = findCTFProgram(name, executable, timeout=PATIENCE)
    except ConfigurationFailure as failure:
        if name == "gctf" and not executable:
            return Finding(NOTE, "program", "no gctf in PATH; only gctf.py would need it")
        return Finding(TODO, "program", failure.reason, failure.remedy)
    return Finding(WELL, "program", f"{program.kind} {program.version or '(version unknown)'} ({program.path})")


def checkGPUs(needed: bool) -> Finding:
    """Ask the driver for the GPUs of this host. `needed`: by a program that is found here."""
    needed = needed and setting("cluster") == "local"
    remedy = "install the driver, or start the daemon on a host with a GPU" if needed else ""
    level = TODO if needed else NOTE
    if shutil.which("nvidia-smi") is None:
        return Finding(level, "GPU", "none seen on this host (no nvidia-smi)", remedy)
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index,name,memory.total,driver_version", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(level, "GPU", f"nvidia-smi fails: {error}", remedy)
    if done.returncode or not done.stdout.strip():
        said = (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"
        return Finding(level, "GPU", f"nvidia-smi shows none: {said}", remedy)
    return Finding(WELL, "GPU", "; ".join(line.strip() for line in done.stdout.strip().splitlines()))
