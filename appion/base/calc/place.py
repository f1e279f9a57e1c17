"""Where this process runs, as the job scheduler calls it: Slurm says it itself, for others the job's script does."""

from __future__ import annotations

import os


def findJob() -> str:
    """The number of the job that this process is in; empty if it is in none."""
    return os.environ.get("APPION_JOB") or os.environ.get("SLURM_JOB_ID", "")


def findNode() -> str:
    """The name of this node: the scheduler's, else its own."""
    return os.environ.get("APPION_NODE") or os.environ.get("SLURMD_NODENAME") or os.uname().nodename
