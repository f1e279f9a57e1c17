"""The job that holds one worker: dask-jobqueue's own settings, and what a worker of ours needs besides."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.config import PREFIX, setting
from appion.base.failures import ConfigurationFailure
from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters import SLURM
from appion.base.workers.jobs.options import checkOptions, readJobqueue

#: Variables handed on besides our settings: what a worker needs to find this package, its programs and its settings.
HANDED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "DASK_CONFIG", "DASK_ROOT_CONFIG")

def checkJobs(gpus: Sequence[int], timeout: float | None, adapter: Adapter = SLURM) -> None:
    """Check what can be checked before the first job is submitted.

    Args:
        gpus: empty if the program needs none.
        timeout: seconds after which a program is given up; None: there is no such limit.

    Raises:
        ConfigurationFailure: the scheduler is not installed, or a setting is missing or contradicts another.
    """
    name = adapter.name
    for program in adapter.programs:
        if shutil.which(program) is None:
            raise ConfigurationFailure(
                f"appion.cluster is {name}, but {program} is not in PATH",
                "start the daemon on a host from which jobs are submitted, or set appion.cluster to local",
            )
    options = readJobqueue(name)
    checkOptions(options, adapter)
    maximum, minimum = setting("jobs.maximum"), setting("jobs.minimum")
    if maximum < max(1, minimum):
        raise ConfigurationFailure(
            f"appion.jobs.maximum is {maximum:g} and minimum {minimum:g}", "maximum is at least 1 and at least minimum"
        )
    walltime = adapter.parseWalltime(options.get("walltime"))
    needed = (timeout or 0.0) + setting("jobs.margin")
    if walltime <= needed:
        raise ConfigurationFailure(
            f"jobqueue.{name}.walltime is {options.get('walltime')}, but a program may run for {timeout or 0:g} s "
            f"and {setting('jobs.margin'):g} s are kept as margin",
            f"set it to more than {formatWalltime(needed)}, or lower the program's timeout or appion.jobs.margin",
        )
    constructJobOptions(Path("/"), gpus, adapter=adapter)


def constructJobOptions(
    rundir: Path, gpus: Sequence[int], excluded: Sequence[str] = (), adapter: Adapter = SLURM
) -> dict[str, Any]:
    """What is passed to dask-jobqueue beside its own settings; see :func:`constructDirectives` for the rest.

    The worker takes the place of the batch shell (`exec`), so that signals of the scheduler reach it and it ends with
    its job.
    """
    options = readJobqueue(adapter.name)
    exports = [*constructOwnLines(rundir, gpus, adapter), *constructExports(options.get("walltime"), adapter)]
    python = options.get("python") or shlex.quote(sys.executable)
    ours = adapter.constructOptions(rundir, countGPUs(gpus), options, excluded)
    return {
        **ours,
        "cores": 1,
        "processes": 1,
        "memory": options.get("memory") or "1GB",
        "nanny": False,
        "python": python if str(python).startswith("exec ") else f"exec {python}",
        "job_name": adapter.constructName(rundir),
        "job_script_prologue": [*exports, *(options.get("job-script-prologue") or [])],
        "job_directives_skip": [*(options.get("job-directives-skip") or []), *ours.get("job_directives_skip", ())],
        # The programs' memory is the scheduler's to watch, not Dask's: of two limits the last one counts.
        "worker_extra_args": [*(options.get("worker-extra-args") or []), "--memory-limit", "0", "--no-dashboard",
                              "--worker-class", "appion.base.workers.doors.ClosedWorker",
                              "--preload", "appion.base.workers.jobs.jobworker"],
    }  # fmt: skip


def constructDirectives(
    rundir: Path, gpus: Sequence[int], options: Mapping[str, Any], excluded: Sequence[str] = (),
    adapter: Adapter = SLURM,
) -> Any:  # fmt: skip
    """The site's extra directives and ours: log, no requeue, GPUs, nodes to keep away from."""
    return adapter.constructOptions(rundir, countGPUs(gpus), options, excluded)["job_extra_directives"]


def countGPUs(gpus: Sequence[int]) -> int:
    """How many GPUs a job asks for by itself."""
    return int(setting("jobs.gpus")) if gpus else 0


def constructOwnLines(rundir: Path, gpus: Sequence[int], adapter: Adapter) -> list[str]:
    """Shell lines by which a worker knows its job, and which send all that is said from there on into its log."""
    if not adapter.exports:
        return []
    log = shlex.quote(f"{rundir}/logs/{adapter.constructName(rundir)}-")
    lines = [*adapter.exports, f'exec > {log}"$APPION_JOB.log" 2>&1']
    return [*lines, "export APPION_JOB_GPUS=1"] if gpus else lines


def constructExports(walltime: Any, adapter: Adapter = SLURM) -> list[str]:
    """Shell lines that hand on what a worker needs, also where jobs are not given the environment."""
    names = [name for name in HANDED_ON if name in os.environ]
    names += sorted(name for name in os.environ if name.startswith(PREFIX))
    lines = [f"export {name}={shlex.quote(os.environ[name])}" for name in names]
    seconds = adapter.parseWalltime(walltime)
    return [*lines, f"export APPION_JOB_END=$(($(date +%s) + {seconds:.0f}))"] if math.isfinite(seconds) else lines


def constructSubmitEnvironment() -> dict[str, str]:
    """The environment of the scheduler's commands: without what a job that this daemon itself runs in has set."""
    foreign = re.compile(r"SLURM_(?!CONF$)|CUDA_VISIBLE_DEVICES$|APPION_(?:GPU|NODE|JOB.*)$")
    return {name: value for name, value in os.environ.items() if not foreign.match(name)}


def calcJobName(rundir: Path) -> str:
    """The name of all of Slurm's jobs of a run folder."""
    return SLURM.constructName(rundir)


def parseWalltime(text: Any) -> float:
    """Seconds of a time limit of Slurm's, infinite for none.

    Raises:
        ConfigurationFailure: it is no such limit.
    """
    return SLURM.parseWalltime(text)


def formatWalltime(seconds: float) -> str:
    """As a time limit is written, rounded up to a minute."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"
