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

from appion.base.calc.place import findJob
from appion.base.failures import classifyException
from appion.base.records.runfolder import scratchFolder
from appion.base.store.files import writeAtomically

OWNER = "owner.json"
_counter = itertools.count()
_cleaned: set[Path | str] = set()  # where this process, as a job, has looked for what others left


def calcScratchRoot(rundir: Path | str, tempdir: Path | str | None = None) -> Path:
    """The folder under which all scratch folders of a run lie: in `tempdir`, or inside the run folder."""
    rundir = Path(rundir).absolute()
    if tempdir is None:
        return scratchFolder(rundir)
    return Path(tempdir) / f"appion-{hashlib.sha256(str(rundir).encode()).hexdigest()[:12]}"


def makeScratch(root: Path | str, name: int | str) -> Path:
    """Make the folder ``<root>/<name>-<host>-<pid>-<n>`` and note this process as its owner.

    The name is the image's id in a run; other names are not found again by :func:`cleanScratch`.

    Raises:
        OSError: as the system gives it.
    """
    host = os.uname().nodename
    while True:
        scratch = Path(root) / f"{name}-{host.split('.')[0]}-{os.getpid()}-{next(_counter)}"
        try:
            scratch.mkdir(parents=True)
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
        "namespace": _readNamespace(),
        "program": program,
        "program_started": readStartTime(program) if program else None,
        "job": findJob() or None,
        "since": time.time(),
    }
    writeAtomically(scratch / OWNER, json.dumps(owner))


def readStartTime(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is no such process.

    With the process id it tells a process from a later one that was given the same id.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def cleanScratch(root: Path | str, image_id: int | None = None) -> list[str]:
    """Remove the scratch folders that processes of this host left under `root`, ending what still runs in them.

    To be called by whoever holds the lock of the run, with `image_id` for an exposure that nobody works on any more.
    Folders of other hosts and of this very process are left alone.

    Returns:
        One line for each folder: what was done.
    """
    lines = []
    for scratch in sorted(Path(root).glob("*" if image_id is None else f"{image_id}-*")):
        if not scratch.is_dir():
            continue
        try:
            owner = json.loads((scratch / OWNER).read_bytes())
            host, pid = owner["host"], int(owner["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            host, pid, owner = _hostOfName(scratch.name), 0, {}
        if host.split(".")[0] != os.uname().nodename.split(".")[0] or pid == os.getpid():
            continue
        killed = [
            what
            for what, leader, started in (
                ("worker", owner.get("pid"), owner.get("started")),
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
    for path in sorted(Path(root).glob(f"*/{OWNER}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            owner = json.loads(path.read_bytes())
            here = owner["host"] == os.uname().nodename and owner["namespace"] == _readNamespace()
            if here and readStartTime(owner["pid"]) != owner["started"]:
                if owner["program"]:
                    _endProcess(owner["program"], owner["program_started"], path.parent, session=True)
                shutil.rmtree(path.parent, ignore_errors=True)


def cleanEndedJobs(root: Path | str, live: Container[str]) -> list[str]:
    """Remove scratch folders, of whatever host, whose job is not among those that may still run.

    Returns:
        One line for each folder.
    """
    lines = []
    for owner in sorted(Path(root).glob(f"*/{OWNER}")):
        try:
            job = json.loads(owner.read_bytes()).get("job")
        except (OSError, ValueError, AttributeError):
            continue
        if job and job not in live:
            shutil.rmtree(owner.parent, ignore_errors=True)
            lines.append(f"removed {owner.parent}, job {job} has ended")
    return lines


def _readNamespace() -> str:
    """In which process ids mean the same: a container may have its own."""
    return os.readlink("/proc/self/ns/pid")


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
