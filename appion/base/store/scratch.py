"""Scratch folders: one per attempt, with a note of who works there, so that what a killed daemon left can go."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from appion.base.calc.place import findJob
from appion.base.failures import classifyException
from appion.base.records.process import readNamespace, readStartTime
from appion.base.records.runfolder import scratchFolder
from appion.base.store.files import writeAtomically
from appion.base.store.ownfolder import describeStranger, listOwnFolders, openOwnFolder, readOwnNote

OWNER = "owner.json"
_counter = itertools.count()
_cleaned: set[Path | str] = set()  # where this process, as a job, has looked for what others left


def calcScratchRoot(rundir: Path | str, tempdir: Path | str | None = None) -> Path:
    """The folder under which all scratch folders of a run lie: in `tempdir`, or inside the run folder."""
    rundir = Path(rundir).absolute()
    if tempdir is None:
        return scratchFolder(rundir)
    return Path(tempdir) / f"appion-{hashlib.sha256(str(rundir).encode()).hexdigest()[:12]}"


def openScratchRoot(root: Path | str) -> tuple[Path, str]:
    """Return the folder that takes the scratch folders, made if need be, and a warning if it is not `root`.

    Where `root` is not ours, somebody else having made it, it is another one beside it, which is found again by all
    functions here that are given `root`.

    Raises:
        ConfigurationFailure, OSError: see :func:`appion.base.store.ownfolder.openOwnFolder`.
    """
    root = Path(root)
    own = openOwnFolder(root)
    if own == root:
        return own, ""
    return own, f"{describeStranger(root) or f'{root} cannot be used'}: {own} is used instead"


def makeScratch(root: Path | str, name: int | str) -> Path:
    """Make the folder ``<root>/<name>-<host>-<pid>-<n>`` for this user alone and note this process as its owner.

    The name is the image's id in a run; other names are not found again by :func:`cleanScratch`.

    Raises:
        ConfigurationFailure, OSError: see :func:`openScratchRoot`.
    """
    host, own = os.uname().nodename, openScratchRoot(root)[0]
    while True:
        scratch = own / f"{name}-{host.split('.')[0]}-{os.getpid()}-{next(_counter)}"
        try:
            scratch.mkdir(mode=0o700)
            break
        except FileExistsError:
            continue
    saveOwner(scratch)
    return scratch


@contextlib.contextmanager
def workInScratch(root: Path | str, name: int | str) -> Iterator[Path]:
    """A scratch folder for the time of a `with` block, named as by :func:`makeScratch`.

    Raises:
        Failure: whatever goes wrong inside or with the folder, classified, with the name of this host.
    """
    host = os.uname().nodename
    try:
        if findJob() and root not in _cleaned:
            _cleaned.add(root)
            cleanDead(root)
        scratch = makeScratch(root, name)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except Exception as error:
        failure = classifyException(error, host)
        failure.host = failure.host or host
        if failure is error:
            raise
        raise failure from error


def saveOwner(scratch: Path, program: int | None = None) -> None:
    """Note who works in `scratch`: this process and, once it has started, the program (leader of its session)."""
    owner = {
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "started": readStartTime(os.getpid()),
        "namespace": readNamespace(),
        "program": program,
        "program_started": readStartTime(program) if program else None,
        "job": findJob() or None,
        "since": time.time(),
    }
    writeAtomically(scratch / OWNER, json.dumps(owner))


def readOwner(scratch: Path) -> dict[str, Any]:
    """Return what :func:`saveOwner` noted in a folder, if nobody else can have written it.

    Raises:
        OSError, ValueError: there is no such note.
    """
    owner = json.loads(readOwnNote(scratch / OWNER))
    if not isinstance(owner, dict):
        raise ValueError(f"{scratch / OWNER} is no note of an owner")
    return owner


def listScratch(root: Path | str, pattern: str = "*") -> list[Path]:
    """Return the scratch folders of this user under `root`, or where :func:`openScratchRoot` put them."""
    found = (scratch for own in listOwnFolders(Path(root)) for scratch in own.glob(pattern))
    return sorted(scratch for scratch in found if scratch.is_dir() and not scratch.is_symlink())


def cleanScratch(root: Path | str, image_id: int | None = None, workers: bool = True) -> list[str]:
    """Remove the scratch folders that processes of this host left under `root`, ending what still runs in them.

    To be called by whoever holds the lock of the run, with `image_id` for an exposure that nobody works on any more.
    Folders of other hosts and of this very process are left alone, and without `workers` a worker that lives: it may
    have told itself that it failed, and work on another one by now.

    Returns:
        One line for each folder: what was done.
    """
    lines = []
    for scratch in listScratch(root, "*" if image_id is None else f"{image_id}-*"):
        try:
            owner = readOwner(scratch)
            host, pid = owner["host"], int(owner["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            host, pid, owner = _hostOfName(scratch.name), 0, {}
        if host.split(".")[0] != os.uname().nodename.split(".")[0] or pid == os.getpid():
            continue
        killed = [
            what
            for what, leader, started in (
                ("worker", workers and owner.get("pid"), owner.get("started")),
                ("program", owner.get("program"), owner.get("program_started")),
            )
            if leader and _endProcess(leader, started, scratch, session=what == "program")
        ]
        shutil.rmtree(scratch, ignore_errors=True)
        lines.append(f"removed {scratch}" + (f", ended its {' and '.join(killed)}" if killed else ""))
    return lines


def cleanDead(root: Path | str) -> None:
    """Remove folders of processes of this host that are no more, and end their programs; anyone may call it.

    What a killed job leaves on a disk of its node cannot be reached by the daemon, but by the next job there.
    """
    for scratch in listScratch(root):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            owner = readOwner(scratch)
            here = owner["host"] == os.uname().nodename and owner["namespace"] == readNamespace()
            if here and readStartTime(owner["pid"]) != owner["started"]:
                if owner["program"]:
                    _endProcess(owner["program"], owner["program_started"], scratch, session=True)
                shutil.rmtree(scratch, ignore_errors=True)


def cleanEndedJobs(root: Path | str, live: Container[str]) -> list[str]:
    """Remove scratch folders, of whatever host, whose job is not among those that may still run.

    Returns:
        One line for each folder.
    """
    lines = []
    for scratch in listScratch(root):
        try:
            job = readOwner(scratch).get("job")
        except (OSError, ValueError):
            continue
        if job and job not in live:
            shutil.rmtree(scratch, ignore_errors=True)
            lines.append(f"removed {scratch}, job {job} has ended")
    return lines


def _hostOfName(name: str) -> str:
    """The host part of ``<image id>-<host>-<pid>-<n>``; empty if the name is something else."""
    head, _, rest = name.partition("-")
    return rest.rsplit("-", 2)[0] if head.isdecimal() and rest.count("-") >= 2 else ""


def _endProcess(pid: int, started: int | None, scratch: Path, session: bool) -> bool:
    """Kill a left-over process, or its whole session, and wait until it is gone. False if it was gone already."""
    now_started = readStartTime(pid)
    members = _findSession(pid, scratch) if session else []
    if now_started is None and not members:
        return False
    if now_started is not None and now_started != started:
        return False  # the id belongs to somebody else by now
    for kill, number in ((os.killpg if session else os.kill, pid), *((os.kill, member) for member in members)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(number, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (_isRunning(pid) or any(_isRunning(member) for member in members)):
        time.sleep(0.02)
    return True


def _isRunning(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _findSession(sid: int, scratch: Path) -> list[int]:
    """Processes of a session whose leader may be gone; only those that work inside `scratch`: no stranger is hit."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == sid:
                folder = os.readlink(entry / "cwd")
                if folder == str(scratch) or folder.startswith(f"{scratch}/"):
                    members.append(int(entry.name))
    return members
