"""What the demo starts: the command lines of both daemons, and the environment they run in."""

from __future__ import annotations

import os
import shlex
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from appion.demo.plan import ALIGNED_PRESET, PRESET, Plan
from appion.demo.processes import DemoError

#: Options of motion correction that change what is compared with the truth.
FIXED = ("bin", "ddstartframe", "ddnframe", "rendered_frame_size", "eer_sampling", "alignlabel", "runname", "rundir",
         "session", "projectid", "preset", "no-commit", "dry-run", "trim", "square")  # fmt: skip


def constructMotionCorCommand(
    plan: Plan, program: str = "motioncor2.py", gpuids: str = "0", extra: Sequence[str] = ()
) -> list[str]:
    """Return the classic command line that corrects the session, as a web page would build it."""
    eer = [f"--rendered_frame_size={plan.movie.group}"] if plan.movie.suffix == "eer" else []
    return [
        program, f"--runname={plan.rundir.name}", f"--rundir={plan.rundir}", f"--session={plan.session}",
        f"--projectid={plan.projectid}", f"--preset={PRESET}", "--align", "--doseweight", "--bin=1", "--ddstartframe=0",
        "--alignlabel=a", "--Bft_global=500", "--Bft_local=100", "--Iter=7", "--Tol=0.5", "--nrw=1", "--FmRef=0",
        f"--gpuids={gpuids}", *eer, "--commit", "--no-rejects", "--continue", *extra,
    ]  # fmt: skip


def constructCtfCommand(plan: Plan, program: str = "ctffind4.py", extra: Sequence[str] = ()) -> list[str]:
    """Return the classic command line that estimates the CTF of what the other one makes; only the box is smaller."""
    own = [
        "--parallel", "--min_phase_shift=10", "--max_phase_shift=170", "--phase_search_step=10", "--num_frame_avg=7",
    ] if program.startswith("ctffind") else []  # fmt: skip
    return [
        program, "--ampcontrast=0.07", "--fieldsize=512", "--resmin=50", "--resmax=4", "--defstep=0.1",
        "--numstep=25", "--dast=0.05", *own, f"--runname={plan.ctf_rundir.name}",
        f"--rundir={plan.ctf_rundir}", f"--preset={ALIGNED_PRESET}", "--commit", f"--projectid={plan.projectid}",
        f"--session={plan.session}", "--no-rejects", "--continue", "--bestdb", "--jobtype=ctfestimate", *extra,
    ]  # fmt: skip


def splitOptions(text: str, option: str) -> list[str]:
    """Return the words of the options that a person adds to a command line.

    Raises:
        DemoError: a quote is open, or one of them changes what is compared with the truth.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise DemoError(f"{option}={text}: {error}") from error
    for word in words:
        name = word.partition("=")[0].lstrip("-")
        if word.startswith("--") and name in FIXED:
            raise DemoError(f"{option}: --{name} cannot be changed here, the comparison with the truth needs it")
    return words


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


def constructSiteEnvironment(config: Path) -> dict[str, str]:
    """Return the environment of a rehearsal: the site's, and what is in `config` wins over other files."""
    commands = sysconfig.get_path("scripts")
    config = config.absolute()
    environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}"}
    environment["SINEDON_CFG_PATH"] = str(config)
    if any(config.glob("*.y*ml")):
        environment["DASK_CONFIG"] = str(config)
    return environment


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
