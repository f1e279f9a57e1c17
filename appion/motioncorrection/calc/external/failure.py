"""Why a motion correction program failed: its own exit codes, else what holds for every program."""

from __future__ import annotations

from collections.abc import Callable

from appion.base.failures import Failure, InfrastructureFailure
from appion.base.programs import blame
from appion.base.programs.blame import TAIL
from appion.base.programs.run import Run

#: Exit codes that speak of the host, by program: which, why, and what to do.
HOST_EXITS = {
    "motioncor3": {
        1: ("no GPU is free", "look after the GPUs of this host"),
        4: ("it could not write its output", "look after the disk"),
        5: ("no GPU is valid", "look after the GPUs of this host"),
    },
    "motioncor-cpu": {4: ("it could not write its output", "look after the disk")},
}


def classifyRun(
    run: Run, kind: str, output: str, timeout: float, isRunnable: Callable[[], bool] = lambda: True
) -> Failure | None:
    """Return why a run of the program `kind` failed, judged by its end alone, or None if it ended well."""
    code = run.returncode
    if not run.stopped and code in HOST_EXITS.get(kind, {}):
        why, remedy = HOST_EXITS[kind][code]
        return InfrastructureFailure(f"the program ended with exit code {code}: {why}", remedy, log_tail=output[-TAIL:])
    remedy = "if movies can take so long, raise the setting motioncorrection.timeout"
    return blame.classifyRun(run, output, timeout, remedy, isRunnable)
