"""Slurm: would it take the jobs of our workers?"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import dask.config
import dask_jobqueue  # noqa: F401 (registers the defaults of jobqueue.slurm)

from appion.base.config import setting
from appion.doctor.finding import NOTE, TODO, WELL, Finding

#: Seconds for sbatch to answer; it gives up itself after about ten.
PATIENCE = 20.0

#: Options of sbatch by the names dask-jobqueue has for them.
OPTIONS = {"queue": "--partition", "account": "--account", "walltime": "--time", "job-cpu": "--cpus-per-task",
           "job-mem": "--mem"}  # fmt: skip


def checkSlurm() -> Iterator[Finding]:
    """Have Slurm try a job with the settings of `jobqueue.slurm`, without submitting it.

    Where workers are not to run on Slurm, it only matters to runJob.py.
    """
    needed = setting("cluster") == "slurm"
    if shutil.which("sbatch") is None:
        if needed:
            yield Finding(TODO, "Slurm", "appion.cluster is slurm, but there is no sbatch in PATH",
                          "install Slurm's client, or start the daemon on a login node")  # fmt: skip
        return
    options = constructOptions()
    try:
        done = subprocess.run(
            ["sbatch", "--test-only", *options, "--wrap=true"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        said, code = done.stderr.strip(), done.returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        said, code = str(error), 1
    asked = shlex.join(options) or "no options"
    if code == 0:
        yield Finding(WELL, "Slurm", f"takes a job ({asked}): {said.removeprefix('sbatch: ')}")
    elif needed:
        yield Finding(TODO, "Slurm", f"does not take a job ({asked}): {said}",
                      "correct jobqueue.slurm (queue, account, walltime, …), or ask who runs Slurm")  # fmt: skip
    else:
        yield Finding(NOTE, "Slurm", f"runJob.py could not submit from here ({asked}): {said}")


def constructOptions() -> list[str]:
    """Return the options of sbatch that the settings `jobqueue.slurm` stand for."""
    if setting("cluster") != "slurm":
        return []
    given: dict[str, Any] = dask.config.get("jobqueue.slurm")
    settings = {str(key).replace("_", "-"): value for key, value in given.items()}
    words = [f"{option}={settings[name]}" for name, option in OPTIONS.items() if settings.get(name)]
    for directive in settings.get("job-extra-directives") or []:
        words += shlex.split(str(directive))
    return words
