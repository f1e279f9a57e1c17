"""A daemon to be killed: its database is a folder, its program writes one number.

Usage: python daemon.py FOLDER NUMBER SECONDS [OPTION=VALUE ...]. Each exposure takes SECONDS; with the
option `hang=1` number 13 never ends. A file `number` in the folder may raise NUMBER while it runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import dask.config

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


def calc(params: dict[str, Any]) -> dict[str, Any]:
    """Run a program in a scratch folder, write the journal record, tell."""
    folder, image_id = Path(params["folder"]), params["id"]
    rundir = folder / "run"
    scratch = makeScratch(calcScratchRoot(rundir), image_id)
    seconds = 300 if params["hang"] and image_id == 13 else params["seconds"]
    note(folder, f"start {image_id} {os.getpid()}")
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


def store(result: dict[str, Any]) -> list[str]:
    """Two rows, the marker last; either is found again instead of written twice."""
    for table in ("child", "marker"):
        row = Path(result["folder"]) / table / str(result["id"])
        if not row.exists():
            row.touch()
            note(Path(result["folder"]), f"{table} {result['id']}")
        time.sleep(0.003)
    return [str(row)]


def constructStep(folder: Path, number: int, seconds: float, hang: bool) -> Step:
    def retrieveCandidates(after: int) -> list[Candidate]:
        more = folder / "number"
        last = int(more.read_text()) if more.exists() else number
        return [Candidate(image_id, f"img{image_id:03d}") for image_id in range(after + 1, last + 1)]

    def retrieveParams(ids: Any) -> dict[int, Any]:
        return {one: {"id": one, "folder": str(folder), "seconds": seconds, "hang": hang} for one in ids}

    return Step(
        name="fake",
        retrieveCandidates=retrieveCandidates,
        retrieveRejected=set,
        retrieveDone=lambda: {int(path.name) for path in (folder / "marker").iterdir()},
        retrieveParams=retrieveParams,
        checkReady=lambda _: None,
        prepare=lambda params: params,
        calc=calc,
        store=store,
        encode=dict,
        decode=dict,
    )


def main() -> int:
    folder, number, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    options = dict(word.split("=") for word in sys.argv[4:])
    for name in ("child", "marker", "run"):
        (folder / name).mkdir(exist_ok=True)
    dask.config.set({"appion.status_interval": 0.2, "appion.poll": 0.5, "appion.free_space": 0, "appion.pause": 0.1})
    step = constructStep(folder, number, seconds, bool(options.get("hang")))
    summary = runLoop(
        step, folder / "run", LoopOptions(wait=bool(options.get("wait")), workers=2),
        isDatabaseAway=lambda _: False, reconnect=partial(print, "reconnect"),
    )  # fmt: skip
    print(summary.why)
    return 0


if __name__ == "__main__":
    sys.exit(main())
