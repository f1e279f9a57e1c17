"""Handing a script to Slurm."""

from __future__ import annotations

import subprocess
from pathlib import Path

from appion.base.failures import ConfigurationFailure, InfrastructureFailure
from appion.base.workers.slurm.script import constructSubmitEnvironment


def submitScript(script: Path, timeout: float) -> int:
    """Submit a script from its folder and return the id of the job.

    Raises:
        ConfigurationFailure: there is no sbatch.
        InfrastructureFailure: Slurm refused the job, or did not answer within `timeout` seconds.
    """
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", script.name if not script.name.startswith("-") else f"./{script.name}"],
            cwd=script.parent, env=constructSubmitEnvironment(), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=timeout,
        )  # fmt: skip
    except FileNotFoundError:
        raise ConfigurationFailure("there is no sbatch here", "install Slurm's client, or correct PATH") from None
    except subprocess.TimeoutExpired:
        raise InfrastructureFailure(
            f"sbatch did not answer within {timeout:g} s", "look with squeue whether the job is there all the same"
        ) from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        raise InfrastructureFailure(f"the job was not accepted: {said or f'sbatch ended with {done.returncode}'}")
    job = done.stdout.decode("utf-8", "replace").strip().rpartition("\n")[2].partition(";")[0].strip()
    if not (job.isascii() and job.isdigit()):
        raise InfrastructureFailure(f"sbatch gave no job id but '{job}'", "look with squeue whether the job is there")
    return int(job)
