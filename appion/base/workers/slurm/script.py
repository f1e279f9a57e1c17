"""The Slurm job that holds one worker: dask-jobqueue's own settings, and what a worker of ours needs besides."""

from __future__ import annotations

import hashlib
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
from appion.base.workers.slurm.options import checkOptions, readJobqueue

#: Variables handed on besides our settings: what a worker needs to find this package, its programs and its settings.
HANDED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "DASK_CONFIG", "DASK_ROOT_CONFIG")

WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})")


def checkJobs(gpus: Sequence[int], timeout: float | None) -> None:
    """Check what can be checked before the first job is submitted.

    Args:
        gpus: empty if the program needs none.
        timeout: seconds after which a program is given up; None: there is no such limit.

    Raises:
        ConfigurationFailure: Slurm is not installed, or a setting is missing or contradicts another.
    """
    for program in ("sbatch", "squeue", "scancel"):
        if shutil.which(program) is None:
            raise ConfigurationFailure(
                f"appion.cluster is slurm, but {program} is not in PATH",
                "start the daemon on a host from which jobs are submitted, or set appion.cluster to local",
            )
    options = readJobqueue()
    checkOptions(options)
    maximum, minimum = setting("slurm.maximum"), setting("slurm.minimum")
    if maximum < max(1, minimum):
        raise ConfigurationFailure(
            f"appion.slurm.maximum is {maximum:g} and minimum {minimum:g}", "maximum is at least 1 and at least minimum"
        )
    walltime = parseWalltime(options.get("walltime"))
    needed = (timeout or 0.0) + setting("slurm.margin")
    if walltime <= needed:
        raise ConfigurationFailure(
            f"jobqueue.slurm.walltime is {options.get('walltime')}, but a program may run for {timeout or 0:g} s "
            f"and {setting('slurm.margin'):g} s are kept as margin",
            f"set it to more than {formatWalltime(needed)}, or lower the program's timeout or appion.slurm.margin",
        )
    constructJobOptions(Path("/"), gpus)


def constructJobOptions(rundir: Path, gpus: Sequence[int], excluded: Sequence[str] = ()) -> dict[str, Any]:
    """What is passed to dask-jobqueue beside its own settings; see :func:`constructDirectives` for the rest.

    The worker takes the place of the batch shell (`exec`), so that Slurm's signals reach it and it ends with its job.
    """
    options = readJobqueue()
    exports = constructExports(options.get("walltime"))
    python = options.get("python") or shlex.quote(sys.executable)
    processors = int(options.get("job-cpu") or options.get("cores") or 1)
    return {
        "cores": 1,
        "processes": 1,
        "job_cpu": processors,
        "memory": options.get("memory") or "1GB",
        "nanny": False,
        "python": python if str(python).startswith("exec ") else f"exec {python}",
        "job_name": calcJobName(rundir),
        "job_script_prologue": [*exports, *(options.get("job-script-prologue") or [])],
        "job_directives_skip": [*(options.get("job-directives-skip") or []), "#SBATCH -e ", "#SBATCH -o "],
        "job_extra_directives": constructDirectives(rundir, gpus, options, excluded),
        # The programs' memory is Slurm's to watch, not Dask's: of two limits the last one counts.
        "worker_extra_args": [*(options.get("worker-extra-args") or []), "--memory-limit", "0", "--no-dashboard",
                              "--worker-class", "appion.base.workers.doors.ClosedWorker",
                              "--preload", "appion.base.workers.slurm.jobworker"],
    }  # fmt: skip


def constructDirectives(
    rundir: Path, gpus: Sequence[int], options: Mapping[str, Any], excluded: Sequence[str] = ()
) -> list[str]:
    """The site's extra directives and ours: log, no requeue, GPUs, nodes to keep away from."""
    given = [str(line) for line in options.get("job-extra-directives") or []]
    log = f"{rundir}/logs/{calcJobName(rundir)}-".replace("%", "%%") + "%j.log"
    lines = ["--no-requeue", f"--output={shlex.quote(log)}"]
    number = int(setting("slurm.gpus"))
    if gpus and number and not any(re.match(r"--(gres|gpus)", line) for line in given):
        lines.append(f"--gres=gpu:{number}")
    exclude = re.compile(r"(?:--exclude[= ]|-x\s*)(.+)")
    nodes = [match[1].strip() for line in given if (match := exclude.fullmatch(line))]
    if nodes := [*nodes, *excluded]:
        lines.append(f"--exclude={','.join(nodes)}")
    return [*(line for line in given if not exclude.fullmatch(line)), *lines]


def constructExports(walltime: Any) -> list[str]:
    """Shell lines that hand on what a worker needs, also where Slurm is told not to pass on the environment."""
    names = [name for name in HANDED_ON if name in os.environ]
    names += sorted(name for name in os.environ if name.startswith(PREFIX))
    lines = [f"export {name}={shlex.quote(os.environ[name])}" for name in names]
    seconds = parseWalltime(walltime)
    return [*lines, f"export APPION_JOB_END=$(($(date +%s) + {seconds:.0f}))"] if math.isfinite(seconds) else lines


def constructSubmitEnvironment() -> dict[str, str]:
    """The environment of Slurm's commands: without what a job that this daemon itself runs in has set."""
    foreign = re.compile(r"SLURM_(?!CONF$)|CUDA_VISIBLE_DEVICES$|APPION_GPU$")
    return {name: value for name, value in os.environ.items() if not foreign.match(name)}


def calcJobName(rundir: Path) -> str:
    """The name of all jobs of a run folder, by which squeue finds them and those that an earlier daemon left."""
    word = re.sub(r"[^A-Za-z0-9._-]", "_", rundir.name)[:32]
    return f"appion-{word}-{hashlib.sha256(str(rundir).encode()).hexdigest()[:8]}"


def parseWalltime(text: Any) -> float:
    """Seconds of a Slurm time limit: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S; infinite for none.

    Raises:
        ConfigurationFailure: it is none of these.
    """
    word = str(text).strip().strip("'\"")
    if text is None or word.lower() in ("", "0", "unlimited", "infinite"):
        return math.inf
    match = WALLTIME.fullmatch(word)
    if match is None:
        raise ConfigurationFailure(f"jobqueue.slurm.walltime is {text!r}", "write for example '12:00:00'")
    numbers = [int(number) for number in match["rest"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
        hours += 24 * int(match["days"])
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, (*numbers, 0)[:2]
    return 3600.0 * hours + 60.0 * minutes + seconds


def formatWalltime(seconds: float) -> str:
    """As Slurm writes it, rounded up to a minute."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"
