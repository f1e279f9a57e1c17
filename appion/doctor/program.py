"""Programs and GPUs: which ones each command would use, which versions, and which of those are known to be bad."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterator

from appion.base.cli.program import findByCommand
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.programs.identify import isRunnable
from appion.base.programs.searches import SEARCHES, chooseSearch
from appion.base.records.program import OWN_KINDS, Program
from appion.ctfestimation.calc.external.program import KNOWN as KNOWN_CTF
from appion.doctor.finding import NOTE, TODO, WELL, Finding
from appion.motioncorrection.calc.external.program import BAD, KNOWN

#: Seconds that a program gets to tell its version, and the driver to tell its GPUs.
PATIENCE = 10.0

#: The commands whose programs are looked for, and those that are missed where nothing is found.
COMMANDS = ("makeDDAlignMotionCor2_UCSF.py", "makeDDAlignMotionCor3.py", "ctffind4.py", "ctffind5.py", "gctf.py",
            "gctffind.py")  # fmt: skip
NEEDED = ("makeDDAlignMotionCor2_UCSF.py", "makeDDAlignMotionCor3.py", "ctffind4.py", "ctffind5.py")


def checkPrograms() -> Iterator[Finding]:
    """Find the program of each command, then the GPUs; what commands share is told once, also that none is found."""
    programs: list[Program] = []
    told: set[str] = set()
    for command in COMMANDS:
        for finding, program in checkCommand(command):
            if program is not None:
                programs.append(program)
            missing = finding.level == TODO and program is None
            key = SEARCHES[chooseSearch(command)].setting if missing else str(finding)
            if key not in told:
                told.add(key)
                yield finding
    corrects = [program for program in programs if program.kind in KNOWN]
    if corrects:
        yield checkGPUs(needed=any(program.kind not in OWN_KINDS for program in corrects))


def checkCommand(command: str) -> Iterator[tuple[Finding, Program | None]]:
    """Find the program of one command; with a warning where it is not quite what the command is made for."""
    executable = setting(SEARCHES[chooseSearch(command)].setting) or ""
    try:
        found = findByCommand(command, timeout=PATIENCE)
    except ConfigurationFailure as failure:
        if command not in NEEDED and not executable:
            title = SEARCHES[chooseSearch(command)].title
            yield Finding(NOTE, "program", f"no {title} in PATH; only {command} would need it"), None
        else:
            yield Finding(TODO, "program", failure.reason, failure.remedy), None
        return
    yield judgeProgram(found.program), found.program
    for level, text in found.messages:
        if level >= logging.WARNING:
            yield Finding(NOTE, "program", f"{command}: {text}"), None


def judgeProgram(program: Program) -> Finding:
    """Judge a program by whether it runs on this host, and by its version."""
    if not isRunnable(program, PATIENCE):
        return Finding(TODO if setting("cluster") == "local" else NOTE, "program",
                       f"{program} cannot be run on this host: asked for its version it dies or is not loaded",
                       "run it by hand here: what it needs is missing (ldd, module load)")  # fmt: skip
    for kind, versions, what, _ in BAD:
        if program.kind == kind and program.version in versions:
            return Finding(TODO, "program", f"{program} {what}", "install another version, or use MotionCor2")
    if program.kind in OWN_KINDS:
        instead = "neither MotionCor2 nor MotionCor3" if program.kind == "motioncor-cpu" else "no CTFFIND"
        return Finding(WELL, "program", f"{program}: computes on processors, {instead} is used")
    known = (KNOWN | KNOWN_CTF).get(program.kind)
    if known is not None and not program.version.startswith(known):
        tried = ", ".join(known)
        return Finding(NOTE, "program", f"{program} has not been tried (tried: {tried}): check its first results")
    return Finding(WELL, "program", str(program))


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
