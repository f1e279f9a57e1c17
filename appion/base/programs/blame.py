"""Why a program failed: the class of failure from how it ended, from what it printed and from the state of the host."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

from appion.base.failures import Failure, ImageFailure, InfrastructureFailure
from appion.base.programs.identify import UNLOADABLE
from appion.base.programs.output import ENDS
from appion.base.programs.run import Run

#: What programs, CUDA, loaders, shells and batch systems print when the host, not the image, is to blame.
HOST_TROUBLE = re.compile(
    # memory and GPU
    r"out of memory|bad_alloc|cannot allocate memory|no CUDA-capable device|no valid device|All GPUs are in use"
    r"|CUDA-capable device\(s\) is/are busy|devices? (?:is|are) (?:busy|unavailable)|invalid device ordinal"
    r"|CUDA driver version is insufficient|driver/library version mismatch|unspecified launch failure"
    r"|uncorrectable ECC|GPU has fallen off|no kernel image is available|device kernel image is invalid"
    r"|compatibility was attempted on non supported HW|CUFFT_ALLOC_FAILED|cudaErrorInitializationError"
    # disk
    r"|No space left on device|Disk quota exceeded|Input/output error|Stale (?:NFS )?file handle|Read-only file system"
    r"|Transport endpoint is not connected|Cannot send after transport endpoint shutdown|Remote I/O error"
    r"|Too many open files|No locks available"
    # the program cannot be loaded
    r"|error while loading shared librar|cannot open shared object file|symbol lookup error|undefined symbol"
    r"|version [`'][^'\n]+' not found|Error (?:loading shared library|relocating)|wrong ELF class|invalid ELF header"
    r"|Exec format error|cannot execute|bad interpreter|required file not found|kernel too old"
    r"|illegal instruction|bus error|ModuleNotFoundError|ImportError: "
    # its licence
    r"|\bno (?:valid )?licen[sc]e|licen[sc]e (?:\S+ ){0,6}(?:expired|invalid|denied|not found|unavailable|fail|error)"
    r"|(?:invalid|expired|missing|cannot \w+|could not \w+|unable to \w+) (?:\S+ ){0,3}licen[sc]e\b"
    # somebody ended it
    r"|^\s*Killed\s*$|: line \d+:\s+\d+ (?:Killed|Terminated|Hangup)\b|oom[-_ ]kill|exceeded (?:job )?memory limit"
    r"|Unable to allocate resources|job allocation .* (?:revoked|cancelled)|CANCELLED AT \d|DUE TO TIME LIMIT",
    re.IGNORECASE | re.MULTILINE,
)

#: Lines of shells, modules and containers that did not find what they were to run. They may go on, so that such a line
#: says why the program failed only if no other complaint follows.
NOT_FOUND = re.compile(
    r"(?:^|: )(?:command )?not found\.?$|: command not found: |: not found \[|^\S+: (?:line )?\d+: .*: "
    r"(?:No such file or directory|Permission denied)$|Unable to locate a modulefile|module\(s\) are unknown"
    r"|^Lmod has detected the following error|Cannot connect to the Docker daemon|executable file not found"
    r"|^FATAL:\s+(?:could not open image|container creation failed|while \w+ing)|^(?:srun|slurmstepd): error: ",
    re.IGNORECASE,
)

#: What Slurm's starter adds to a failure that the program itself has told of.
ECHO = re.compile(r"srun: error: .*\btasks? [\d,-]+: ")

#: Lines in which a program says what is wrong with its input.
COMPLAINT = re.compile(
    r"\berror\b(?!\s*:\s*[-+\d.]+(?:e[-+]?\d+)?$)|mismatch|can ?not|failed|not found|not recogni[sz]ed|not acceptable"
    rf"|exiting|segmentation fault|core dumped|^[\w.-]+-cpu: |{NOT_FOUND.pattern}",
    re.IGNORECASE,
)

#: Signals of a program that made a mistake, on this input or on any; whatever else ends one comes from outside.
MISTAKES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGTRAP)

#: What to do about a signal from outside.
KILLED = "most likely the host ran out of memory or the job was stopped"
SIGNALS = {
    signal.SIGILL: "the program is made for another processor than this host has",
    signal.SIGBUS: "a disk of this host failed or is full, or its memory is broken",
    signal.SIGSYS: "this host forbids the program something",
    signal.SIGXFSZ: "a limit of this host on the size of files (ulimit -f)",
}

#: What to do where a program cannot be run at all.
UNRUNNABLE = "run the command by hand on this host: what it needs is not there (ldd, module load), or is broken"

TAIL = 4000


def classifyRun(
    run: Run, output: str, timeout: float, remedy: str, isRunnable: Callable[[], bool] = lambda: True
) -> Failure | None:
    """Return why a program run failed, judged by its end alone, or None if it ended well.

    Args:
        run, output: how it ended and what it printed.
        timeout: its time limit (seconds); remedy: what to do if that was too short.
        isRunnable: whether the program runs on this host at all; asked where it made a mistake.
    """
    if run.flood:
        whole = output.rpartition("\n")[0] or output  # the last line is cut
        return explainFailure(f"the program {run.flood} and was ended", whole)
    if run.timed_out:
        last = findLastLine(output)
        wrote = f"; it last wrote: {last}" if last else ""
        what = f"the program did not end within {timeout:g} s and was killed"
        return findHostTrouble(what, output) or ImageFailure(f"{what}{wrote}", remedy, log_tail=output[-TAIL:])
    if run.returncode == 0:
        return None
    number = -run.returncode if run.returncode < 0 else run.returncode - 128
    known = number in set(signal.Signals)
    if run.returncode >= 0 and not known:
        what = f"the program ended with exit code {run.returncode}"
        failure = explainFailure(what, output)
        return _blameHost(failure.reason, output, UNRUNNABLE) if run.returncode in UNLOADABLE else failure
    what = f"the program was ended by signal {signal.Signals(number).name if known else number}"
    if number not in MISTAKES:
        return _blameHost(what, output, SIGNALS.get(signal.Signals(number), KILLED) if known else KILLED)
    failure = explainFailure(what, output)
    if failure.kind == "image" and not isRunnable():
        return _blameHost(f"{failure.reason}; it does not even tell its version here", output, UNRUNNABLE)
    return failure


def explainFailure(what: str, output: str, ended_well: bool = False) -> Failure:
    """Return the failure `what` with what the program's output says about it, of the class it points to.

    Where nothing in it is a complaint, the last line is told, unless the program ended well: then it says nothing.
    """
    trouble = findHostTrouble(what, output)
    if trouble:
        return trouble
    lines = [line.strip() for line in _cutMiddle(output).splitlines()]
    complaints = [line for line in lines if COMPLAINT.search(line) and not ECHO.match(line)]
    reason = complaints[-1] if complaints else "" if ended_well else findLastLine(output)
    told = f"{what}: {reason[:300]}" if reason else what
    if complaints and NOT_FOUND.search(reason):
        return _blameHost(told, output, UNRUNNABLE)
    return ImageFailure(told, log_tail=output[-TAIL:])


def findHostTrouble(what: str, output: str) -> Failure | None:
    """Return the failure `what` with the line in which a program's output says that the host is to blame, if any."""
    text = _cutMiddle(output)
    trouble = HOST_TROUBLE.search(text)
    if trouble is None:
        return None
    return _blameHost(f"{what}: {_findLine(text, trouble.start())}", output, "look after this host")


def findLastLine(output: str) -> str:
    """Return the last line that is not blank, at most 200 characters of it."""
    return next((line.strip()[:200] for line in reversed(output[-TAIL:].splitlines()) if line.strip()), "")


def _blameHost(reason: str, output: str, remedy: str) -> Failure:
    return InfrastructureFailure(reason, remedy, log_tail=output[-TAIL:])


def _cutMiddle(output: str) -> str:
    """Return both ends of a long output: programs say what is wrong at their beginning or at their end."""
    return output if len(output) <= 2 * ENDS else f"{output[:ENDS]}\n{output[-ENDS:]}"


def _findLine(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    stop = text.find("\n", position)
    return text[start : stop if stop >= 0 else None].strip()[:300]
