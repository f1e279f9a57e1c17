"""A daemon to be killed: its database is a folder, its program writes one number.

Usage: python daemon.py FOLDER NUMBER SECONDS [OPTION=VALUE ...]. Each exposure takes SECONDS. Options:

    wait=1      go on when everything is done
    hang=1      number 13 never ends
    die=WAY     every twentieth takes its worker with it, once: WAY is exit, kill, segfault or stop; every fortieth does
                so a moment later, when the worker is on another exposure or on none
    lose=EVERY  after each EVERY results the daemon loses its Dask: in turn the scheduler and the whole cluster
    treble=A-B  drift is 10 Å, and 30 Å from exposure A to exposure B

A file `number` in the folder may raise NUMBER while it runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dask.config
from distributed import SpecCluster

from appion.base.loop import LoopOptions, runLoop
from appion.base.step import Candidate, Step
from appion.base.store.journal import saveResult
from appion.base.store.scratch import calcScratchRoot, makeScratch, saveOwner


def note(folder: Path, line: str) -> None:
    """Append one line in one write."""
    with open(folder / "notes", "a") as file:
        file.write(line + "\n")


def dieWithParent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def die(way: str) -> None:
    """End this process as workers end; SIGKILL is also what the kernel sends when memory runs out."""
    if way == "exit":
        os._exit(1)
    os.kill(os.getpid(), {"kill": signal.SIGKILL, "segfault": signal.SIGSEGV, "stop": signal.SIGSTOP}[way])


def dieOnce(folder: Path, image_id: int, way: str) -> None:
    """Let the worker die now, or a moment after this exposure; not again at the next try."""
    try:
        (folder / "deaths" / str(image_id)).touch(exist_ok=False)
    except FileExistsError:
        return
    note(folder, f"death {image_id} {os.getpid()}")
    if image_id % 40:
        die(way)
    threading.Timer(0.05, die, [way]).start()


def calc(params: dict[str, Any]) -> dict[str, Any]:
    """Run a program in a scratch folder, write the journal record, tell."""
    folder, image_id = Path(params["folder"]), params["id"]
    rundir = folder / "run"
    scratch = makeScratch(calcScratchRoot(rundir), image_id)
    seconds = 300 if params["hang"] and image_id == 13 else params["seconds"]
    note(folder, f"start {image_id} {os.getpid()}")
    if params["die"] and image_id % 20 == 0:
        dieOnce(folder, image_id, params["die"])
    with subprocess.Popen(
        ["sleep", str(seconds)], cwd=scratch, start_new_session=True, preexec_fn=dieWithParent
    ) as program:
        saveOwner(scratch, program.pid)
        note(folder, f"program {program.pid}")
    saveResult(rundir, image_id, {"id": image_id, "folder": str(folder)})
    note(folder, f"end {image_id}")
    (scratch / "owner.json").unlink()
    scratch.rmdir()
    return {"id": image_id, "folder": str(folder)}


def calcNothing(params: dict[str, Any]) -> dict[str, Any]:
    """Write the journal record at once."""
    saveResult(params["rundir"], params["id"], {"id": params["id"]})
    return {"id": params["id"]}


def store(result: dict[str, Any]) -> list[str]:
    """Two rows, the marker last; either is found again instead of written twice."""
    for table in ("child", "marker"):
        row = Path(result["folder"]) / table / str(result["id"])
        if not row.exists():
            row.touch()
            note(Path(result["folder"]), f"{table} {result['id']}")
        time.sleep(0.003)
    return [str(row)]


def loseDask(count: int) -> None:
    """Close the scheduler, or the cluster with all that belongs to it, behind the daemon's back."""
    for cluster in list(SpecCluster._instances):
        if cluster.status.name == "running":
            cluster.sync(cluster.scheduler.close if count % 2 else cluster.close)


def constructStore(folder: Path, every: int) -> Callable[[dict[str, Any]], list[str]]:
    """Storing, in the course of which Dask is lost now and then."""
    stored: list[int] = []

    def storeAndLose(result: dict[str, Any]) -> list[str]:
        stored.append(result["id"])
        if every and len(stored) % every == 0:
            note(folder, f"lose {len(stored)}")
            loseDask(len(stored) // every)
        return store(result)

    return storeAndLose


def measure(result: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    """The drift of an exposure; each was taken a second after the one before."""
    image_id = result["id"]
    return {"exposed": 1e9 + image_id, "drift": 30.0 if first <= image_id <= last else 10.0}


def constructStep(
    folder: Path, number: int, seconds: float, hang: bool = False, die: str = "", lose: int = 0, treble: str = "0-0"
) -> Step:
    bad = [int(word) for word in treble.split("-")]

    def retrieveCandidates(after: int) -> list[Candidate]:
        more = folder / "number"
        last = int(more.read_text()) if more.exists() else number
        return [Candidate(image_id, f"img{image_id:03d}") for image_id in range(after + 1, last + 1)]

    def retrieveParams(ids: Any) -> dict[int, Any]:
        common = {"folder": str(folder), "seconds": seconds, "hang": hang, "die": die}
        return {one: {"id": one, **common} for one in ids}

    return Step(
        name="fake",
        retrieveCandidates=retrieveCandidates,
        retrieveRejected=set,
        retrieveDone=lambda: {int(path.name) for path in (folder / "marker").iterdir()},
        retrieveParams=retrieveParams,
        checkReady=lambda _: None,
        prepare=lambda params: params,
        calc=calc,
        store=constructStore(folder, lose),
        encode=dict,
        decode=dict,
        measure=partial(measure, first=bad[0], last=bad[1]),
    )


def makeFolders(folder: Path) -> None:
    for name in ("child", "marker", "run", "deaths"):
        (folder / name).mkdir(exist_ok=True)


def main() -> int:
    folder, number, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    options = dict(word.split("=") for word in sys.argv[4:])
    makeFolders(folder)
    dask.config.set({"appion.status_interval": 0.2, "appion.poll": 0.5, "appion.free_space": 0, "appion.pause": 0.1})
    step = constructStep(
        folder, number, seconds, bool(options.get("hang")), options.get("die", ""), int(options.get("lose", 0)),
        options.get("treble", "0-0"),
    )  # fmt: skip
    summary = runLoop(
        step, folder / "run", LoopOptions(wait=bool(options.get("wait")), workers=2),
        isDatabaseAway=lambda _: False, reconnect=partial(print, "reconnect"),
    )  # fmt: skip
    print(summary.why)
    return 0


if __name__ == "__main__":
    sys.exit(main())
