"""What daemons cost a host that have nothing to do: memory, processors, queries, connections.

    python benchmarks/idle.py [--daemons N] [--settle S] [--seconds S] [--slurm]

Daemons of both steps, in turn, on a MariaDB server of their own; each works through a session of two exposures with a
program that takes no time, and then has nothing to do. Measured, after they have settled, over a minute: memory as the
kernel divides it among processes that share it (PSS), of the daemon and all its children; their processor time; the
statements that the server has run, and its connections. With --slurm the workers are jobs of a Slurm of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import mrcfile
import numpy

import sinedon
from sinedon.create import createDatabases
from tests.services.mariadb import MariaDB
from tests.services.sessions import MadeSession, makeSession
from tests.services.slurm import Slurm

ROOT = Path(__file__).resolve().parent.parent
SIDE, FRAMES = 512, 4
#: What daemons cost before they rested: 30 of them, one worker each, of a facility that left Dask's settings alone.
BEFORE = {"MB": 220.0, "% of a processor": 16.0, "queries a minute": 110.0, "connections": 3.5}
TARGET = {"MB": 120.0, "% of a processor": 1.0, "queries a minute": 20.0, "connections": 1.0}
SETTINGS = {"DASK_APPION__WORKERS": "1", "DASK_APPION__FREE_SPACE": "0", "DASK_APPION__MOTIONCORRECTION__SETTLE": "0",
            "DASK_APPION__CTFESTIMATION__SETTLE": "0"}  # fmt: skip
ON_SLURM = {"DASK_APPION__CLUSTER": "slurm", "DASK_APPION__SLURM__HOLD": "10", "DASK_APPION__SLURM__GPUS": "0",
            "DASK_JOBQUEUE__SLURM__WALLTIME": "02:00:00", "DASK_JOBQUEUE__SLURM__MEMORY": "500MB",
            "DASK_JOBQUEUE__SLURM__INTERFACE": "lo"}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What was used so far by the daemons, processor time in seconds; what is there now, memory in MB."""

    memory: float
    seconds: float
    queries: int
    connections: int
    processes: int


def main() -> int:
    """Start, let settle, measure, print; exit code 1 if a daemon costs more than it should."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--daemons", type=int, default=2, help="how many (default: %(default)s)")
    parser.add_argument("--settle", type=float, default=90.0, help="seconds without work before (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured for so long (default: %(default)s)")
    parser.add_argument("--slurm", action="store_true", help="workers are jobs of Slurm (default: of this machine)")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="idle-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)
        server = MariaDB(folder / "mariadb").start()
        stack.callback(server.stop)
        server.loadClassicSchema()
        (folder / "sinedon.cfg").write_text(server.constructConfig())
        os.environ.update(SETTINGS, SINEDON_CFG_PATH=name, PYTHONPATH=str(ROOT))
        if args.slurm:
            slurm = Slurm(nodes=1, cpus=2 * args.daemons, gpus=0).start()
            stack.callback(slurm.stop)
            os.environ.update(ON_SLURM, SLURM_CONF=slurm.environment["SLURM_CONF"])
        createDatabases(1)
        sinedon.setup(1)
        daemons = [startDaemon(folder, number, stack) for number in range(args.daemons)]
        sinedon.closeConnections()
        for number, daemon in enumerate(daemons):
            waitUntilDone(folder / f"ddstack{number}", daemon)
        time.sleep(args.settle)
        pids = [daemon.pid for daemon in daemons]
        before = measure(server, pids)
        time.sleep(args.seconds)
        after = measure(server, pids)
        return show(before, after, args.daemons, args.seconds)


def startDaemon(folder: Path, number: int, stack: ExitStack) -> subprocess.Popen:
    """Make a session and have a daemon of one step or the other work on it; it ends with `stack`."""
    made = makeSession(images=2, nframes=FRAMES, name=f"26mar{number:02d}a", root=folder, dimension=(SIDE, SIDE),
                       binning=1, pixelsize=1e-10, movie_format="mrc", norm=False)  # fmt: skip
    saveImages(made)
    words = [f"--rundir={folder}/ddstack{number}", f"--session={made.name}", "--projectid=1", "--preset=enn",
             f"--runname=ddstack{number}", "--no-rejects", "--continue"]  # fmt: skip
    if number % 2:
        module, program, fake = "ctfestimation", "ctffind", "tests/ctfestimation/fakectffind.py"
        words += [f"--fieldsize={SIDE}", "--resmin=50", "--resmax=4"]
    else:
        module, program, fake = "motioncorrection", "motioncor2", "tests/faults/fakemotioncor2.py"
        words += ["--align", "--gpuids=0"]
    path = folder / program
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S {ROOT / fake} "$@"\n')
    path.chmod(0o755)
    section = "ctffind" if number % 2 else module
    env = os.environ | {f"DASK_APPION__{section.upper()}__EXECUTABLE": str(path), "FAKE_LEDGER": os.devnull}
    command = [sys.executable, "-m", f"appion.{module}.cli.main", *words]
    with (folder / f"log{number}").open("wb") as log:
        daemon = subprocess.Popen(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stack.callback(daemon.wait)
    stack.callback(daemon.terminate)
    return daemon


def saveImages(made: MadeSession) -> None:
    """Write a movie and Leginon's picture of each exposure."""
    rng = numpy.random.default_rng(1)
    for where in (made.frame_path, made.image_path):
        Path(where).mkdir(parents=True, exist_ok=True)
    for name in made.filenames:
        frames = rng.poisson(5, (FRAMES, SIDE, SIDE)).astype(numpy.int16)
        with mrcfile.new(Path(made.frame_path, f"{name}.frames.mrc")) as movie:
            movie.set_data(frames)
        with mrcfile.new(Path(made.image_path, f"{name}.mrc")) as picture:
            picture.set_data(frames.sum(0, dtype=numpy.float32))


def waitUntilDone(rundir: Path, daemon: subprocess.Popen, timeout: float = 300.0) -> None:
    """Wait until everything of a run is done. Raises RuntimeError with the end of the log if that does not come."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            status = json.loads((rundir / ".appion" / "status.json").read_text())
            if status["total"] and status["counts"]["done"] == status["total"]:
                return
        except FileNotFoundError:
            pass
        if daemon.poll() is not None or time.monotonic() > deadline:
            log = rundir.parent / rundir.name.replace("ddstack", "log")
            raise RuntimeError(f"{rundir} is not done\n{log.read_text()[-3000:]}")
        time.sleep(0.5)


def measure(server: MariaDB, pids: list[int]) -> Cost:
    """What the daemons have used so far, without what asking costs."""
    status = dict(server.execute("SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Threads_connected')"))
    tree = [pid for root in pids for pid in listTree(root)]
    return Cost(sum(map(readMemory, tree)), sum(map(readSeconds, tree)), int(status["Questions"]),
                int(status["Threads_connected"]) - 1, len(tree))  # fmt: skip


def listTree(pid: int) -> list[int]:
    """A process and all its descendants; jobs of Slurm are none."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += listTree(int(child))
    return found


def readMemory(pid: int) -> float:
    """MB of a process, what it shares divided by the number that share it."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def readSeconds(pid: int) -> float:
    """Processor time of a process, in its own code and in the kernel's."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def show(before: Cost, after: Cost, number: int, seconds: float) -> int:
    """Print what each daemon costs, beside what it cost before and may cost; 1 if it is too much."""
    asking = 3  # statements that the measurement itself runs
    now = {
        "MB": after.memory / number,
        "% of a processor": 100 * (after.seconds - before.seconds) / seconds / number,
        "queries a minute": (after.queries - before.queries - asking) * 60 / seconds / number,
        "connections": after.connections / number,
    }
    print(f"{number} daemons without work, {after.processes / number:g} processes each; each of them\n")
    print(f"{'':<20} {'now':>8} {'before':>8} {'at most':>8}")
    for what, value in now.items():
        print(f"{what:<20} {value:>8.1f} {BEFORE[what]:>8.1f} {TARGET[what]:>8.1f}")
    return int(any(value > TARGET[what] for what, value in now.items()))


if __name__ == "__main__":
    sys.exit(main())
