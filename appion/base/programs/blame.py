"""Why a program failed: the class of failure from how it ended and from what it printed."""

from __future__ import annotations

import re
import signal

from appion.base.failures import Failure, ImageFailure, InfrastructureFailure
from appion.base.programs.run import Run

#: What programs, CUDA and batch systems print when the host, not the image, is to blame.
HOST_TROUBLE = re.compile(
    r"out of memory|bad_alloc|cannot allocate memory|no CUDA-capable device|no valid device|All GPUs are in use"
    r"|CUDA-capable device\(s\) is/are busy|devices? (?:is|are) (?:busy|unavailable)|invalid device ordinal"
    r"|CUDA driver version is insufficient|driver/library version mismatch|unspecified launch failure"
    r"|uncorrectable ECC|GPU has fallen off|No space left on device|Disk quota exceeded|Input/output error"
    r"|Stale file handle|Unable to allocate resources|job allocation .* (?:revoked|cancelled)"
    r"|error while loading shared libraries",
    re.IGNORECASE,
)

#: Lines in which a program says what is wrong with its input.
COMPLAINT = re.compile(
    r"\berror\b(?!\s*:\s*[-+\d.]+(?:e[-+]?\d+)?$)|mismatch|can ?not|failed|not found|not recogni[sz]ed|not acceptable"
    r"|exiting|^[\w.-]+-cpu: ",
    re.IGNORECASE,
)

#: Signals sent by the system or an operator rather than caused by the program itself.
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU)

TAIL = 4000


def classifyRun(run: Run, output: str, timeout: float, remedy: str) -> Failure | None:
    """Return why a program run failed, judged by its end alone, or None if it ended well.

    Args:
        run, output: how it ended and what it printed.
        timeout: its time limit (seconds); remedy: what to do if that was too short.
    """
    if run.timed_out:
        last = findLastLine(output)
        wrote = f"; it last wrote: {last}" if last else ""
        return ImageFailure(
            f"the program did not end within {timeout:g} s and was killed{wrote}", remedy, log_tail=output[-TAIL:]
        )
    if run.returncode == 0:
        return None
    number = -run.returncode if run.returncode < 0 else run.returncode - 128
    name = signal.Signals(number).name if number in set(signal.Signals) else ""
    end = f"was ended by signal {name}" if name else f"ended with exit code {run.returncode}"
    if name and number in KILLS:
        return InfrastructureFailure(
            f"the program {end}", "most likely the host ran out of memory or the job was stopped",
            log_tail=output[-TAIL:],
        )  # fmt: skip
    return explainFailure(f"the program {end}", output)


def explainFailure(what: str, output: str, ended_well: bool = False) -> Failure:
    """Return the failure `what` with what the program's output says about it, of the class it points to.

    Where nothing in it is a complaint, the last line is told, unless the program ended well: then it says nothing.
    """
    trouble = HOST_TROUBLE.search(output)
    if trouble:
        return InfrastructureFailure(
            f"{what}: {_findLine(output, trouble.start())}", "look after this host", log_tail=output[-TAIL:]
        )
    complaints = [line.strip() for line in output.splitlines() if COMPLAINT.search(line.strip())]
    reason = complaints[-1] if complaints else "" if ended_well else findLastLine(output)
    return ImageFailure(f"{what}: {reason[:300]}" if reason else what, log_tail=output[-TAIL:])


def findLastLine(output: str) -> str:
    """Return the last line that is not blank, at most 200 characters of it."""
    return next((line.strip()[:200] for line in reversed(output.splitlines()) if line.strip()), "")


def _findLine(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    stop = text.find("\n", position)
    return text[start : stop if stop >= 0 else None].strip()[:300]
