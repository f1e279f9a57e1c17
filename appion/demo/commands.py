"""What the demo starts: the command lines of both daemons, and the environment they run in."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

from appion.demo.plan import ALIGNED_PRESET, PRESET, PROJECT, SESSION, Plan
from appion.demo.processes import DemoError


def constructMotionCorCommand(plan: Plan) -> list[str]:
    """Return the classic command line that corrects the session, as a web page would build it."""
    return [
        "motioncor2.py", f"--runname={plan.rundir.name}", f"--rundir={plan.rundir}", f"--session={SESSION}",
        f"--projectid={PROJECT}", f"--preset={PRESET}", "--align", "--doseweight", "--bin=1", "--ddstartframe=0",
        "--alignlabel=a", "--Bft_global=500", "--Bft_local=100", "--Iter=7", "--Tol=0.5", "--nrw=1", "--FmRef=0",
        "--gpuids=0", "--commit", "--no-rejects", "--continue",
    ]  # fmt: skip


def constructCtfCommand(plan: Plan) -> list[str]:
    """Return the classic command line that estimates the CTF of what the other one makes; only the box is smaller."""
    return [
        "ctffind4.py", "--ampcontrast=0.07", "--fieldsize=512", "--resmin=50", "--resmax=4", "--defstep=0.1",
        "--numstep=25", "--dast=0.05", "--parallel", "--min_phase_shift=10", "--max_phase_shift=170",
        "--phase_search_step=10", "--num_frame_avg=7", f"--runname={plan.ctf_rundir.name}",
        f"--rundir={plan.ctf_rundir}", f"--preset={ALIGNED_PRESET}", "--commit", f"--projectid={PROJECT}",
        f"--session={SESSION}", "--no-rejects", "--continue", "--bestdb", "--jobtype=ctfestimate",
    ]  # fmt: skip


def constructEnvironment(plan: Plan) -> dict[str, str]:
    """Return the environment of all processes: databases of the demo, this program's commands, quick settings."""
    commands = sysconfig.get_path("scripts")
    return os.environ | {
        "SINEDON_CFG_PATH": str(plan.folder),
        "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}",
        "DASK_APPION__CLUSTER": "local",
        "DASK_APPION__POLL": "1",
        "DASK_APPION__STATUS_INTERVAL": "1",
        "DASK_APPION__RECHECK_MAX": "4",
        "DASK_APPION__MOTIONCORRECTION__SETTLE": "1",
        "DASK_APPION__MOTIONCORRECTION__EXECUTABLE": str(Path(commands) / "motioncor-cpu"),
        "DASK_APPION__CTFESTIMATION__SETTLE": "0.5",
        "DASK_APPION__CTFFIND__EXECUTABLE": str(Path(commands) / "ctffind-cpu"),
    }


def findCommand(command: list[str]) -> list[str]:
    """Return `command` with the path of the installed program in front.

    Raises:
        DemoError: it is not installed.
    """
    folder = sysconfig.get_path("scripts")
    path = shutil.which(command[0], path=folder)
    if path is None:
        raise DemoError(f"{command[0]} is not in {folder}: install this package there, for example with `make demo`")
    return [path, *command[1:]]
