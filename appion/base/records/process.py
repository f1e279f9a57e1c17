"""Processes: by more than their number, which others get later; who holds a lock on this host; what ours may make."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any


def closeToEverybody() -> None:
    """Have nothing that this process and its children make be writable for everybody, however it was started."""
    os.umask(os.umask(0o077) | 0o002)


def readStartTime(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is no such process, or it is hidden.

    With the process id it tells a process from a later one that was given the same id.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def readNamespace() -> str:
    """In which process ids mean the same: a container may have its own."""
    return os.readlink("/proc/self/ns/pid")


def isAlive(process: dict[str, Any]) -> bool | None:
    """Whether a process that was noted with host, pid, started and namespace still is; None if that cannot be told."""
    try:
        pid, started = int(process["pid"]), process.get("started")
        if process["host"] != os.uname().nodename or process.get("namespace", readNamespace()) != readNamespace():
            return None
    except (KeyError, TypeError, ValueError):
        return False
    found = readStartTime(pid)
    if found is None:
        return False if readStartTime(1) is not None else None  # a host may show a user's own processes only
    return found == started if started is not None else None


def findLockers(fd: int) -> list[tuple[int, int]]:
    """Return process and user ids of those on this host that hold locks on an open file, as far as the system tells."""
    info, found = os.fstat(fd), []
    file = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    try:
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if len(words) > 5 and words[1] != "->" and words[5] == file:
                found.append((int(words[4]), os.stat(f"/proc/{words[4]}").st_uid))
    except (OSError, ValueError):
        return found
    return found


def findUserName(uid: int) -> str:
    """The name of a user, or the number where nobody knows a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
