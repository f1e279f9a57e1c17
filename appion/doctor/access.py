"""Who else may read, write, lock or call what is ours: password files, a run folder, its lock, a daemon's ports."""

from __future__ import annotations

import configparser
import contextlib
import ipaddress
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appion.base.records.lockfile import tryLock
from appion.base.records.process import findLockers, findUserName
from appion.base.records.runfolder import FOLDER, lockPath
from appion.base.retrieve.lock import readLockHolder
from appion.base.store.ownfolder import describeStranger
from appion.base.store.scratch import calcScratchRoot
from appion.doctor.finding import NOTE, TODO, WELL, Finding
from sinedon.config import listConfigPaths

#: State of a socket that waits for calls, in /proc/net/tcp.
LISTENING = "0A"


def checkConfigFiles() -> Iterator[Finding]:
    """Look who may read the files in which the database's password stands."""
    for path in listConfigPaths():
        if not path.exists() or not _hasPassword(path):
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o006:
            yield Finding(TODO, "access", f"{path} holds a password, and everybody may read it (mode {mode:04o})",
                          f"chgrp it to those who run daemons, then chmod 640 {path}")  # fmt: skip
        else:
            yield Finding(WELL, "access", f"{path} holds a password; mode {mode:04o}")
    place = Path(tempfile.gettempdir())
    mode = place.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        text = f"in {place} everybody may rename what is not theirs (mode {stat.S_IMODE(mode):04o})"
        yield Finding(TODO, "access", text, f"chmod +t {place}")


def checkAccess(rundir: Path) -> Iterator[Finding]:
    """Look at a run folder that is there: who may write into it, its scratch folders, its lock, its daemon's ports."""
    rundir = rundir.absolute()
    if not (rundir / FOLDER).is_dir():
        return
    yield from checkModes(rundir)
    for root in (calcScratchRoot(rundir), calcScratchRoot(rundir, tempfile.gettempdir())):
        if stranger := describeStranger(root):
            yield Finding(NOTE, "access", f"{stranger}; scratch folders are made under another name beside it")
    yield from checkLock(rundir)
    yield from checkPorts(rundir)


def checkModes(rundir: Path) -> Iterator[Finding]:
    """Look for folders and files of the run that everybody may write, and keys that others may read."""
    open_ = [path for path in (rundir, rundir / FOLDER, *(rundir / FOLDER).glob("*"), rundir / "logs")
             if path.exists() and not path.is_symlink() and path.stat().st_mode & stat.S_IWOTH]  # fmt: skip
    if open_:
        yield Finding(TODO, "access", f"everybody may write {', '.join(map(str, open_))}",
                      f"chmod -R o-w {rundir}")  # fmt: skip
    else:
        yield Finding(WELL, "access", f"{rundir} cannot be written by everybody")
    keys = rundir / FOLDER / "tls"
    if keys.is_dir() and keys.stat().st_mode & 0o077:
        yield Finding(TODO, "access", f"others may look into {keys}, where the workers' key is", f"chmod 700 {keys}")


def checkLock(rundir: Path) -> Iterator[Finding]:
    """Look who may lock the run folder, and whether somebody has who is no daemon."""
    path = lockPath(rundir)
    if not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o006:
        yield Finding(NOTE, "access", f"{path} may be locked by everybody (mode {mode:04o}); the next start of a daemon"
                                      " leaves that to those who may write there")  # fmt: skip
    with contextlib.suppress(PermissionError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if tryLock(descriptor, path):
                return
            here = findLockers(descriptor)
        finally:
            os.close(descriptor)
        if not readLockHolder(rundir):
            who = " and ".join(f"process {pid} of user {findUserName(uid)}" for pid, uid in here) or "somebody"
            yield Finding(TODO, "access", f"{path} is locked by {who}, and that is no daemon", "have that ended")


def checkPorts(rundir: Path) -> Iterator[Finding]:
    """Say on which addresses the daemon of the run listens, if it is on this host."""
    holder = readLockHolder(rundir)
    if not holder or holder.get("host") != os.uname().nodename:
        return
    try:
        ports = listPorts(int(holder["pid"]))
    except PermissionError:
        yield Finding(NOTE, "access", f"the ports of process {holder['pid']} are shown to its user only")
        return
    everywhere = [f"{address}:{port}" for address, port in ports if ipaddress.ip_address(address).is_unspecified]
    text = ", ".join(f"{address}:{port}" for address, port in ports) or "nowhere"
    if everywhere:
        yield Finding(NOTE, "access", f"the daemon listens at {', '.join(everywhere)} for everybody: its numbers, or"
                      " Dask's page, by the settings metrics_address and dashboard, without a password")  # fmt: skip
    yield Finding(WELL, "access", f"the daemon and its workers listen at {text}")


def listPorts(pid: int) -> list[tuple[str, int]]:
    """Return (address, port) at which a process and its descendants take calls by TCP, sorted.

    Raises:
        PermissionError: the process is somebody else's.
    """
    sockets: set[str] = set()
    for process in _listFamily(pid):
        try:
            for entry in os.scandir(f"/proc/{process}/fd"):
                with contextlib.suppress(FileNotFoundError):
                    sockets.add(os.readlink(entry.path))
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == LISTENING and f"socket:[{words[9]}]" in sockets:
                    address, _, port = words[1].partition(":")
                    found.add((_readAddress(address), int(port, 16)))
    return sorted(found)


def _listFamily(pid: int) -> set[int]:
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _readAddress(text: str) -> str:
    """An address as the kernel prints it: words of four bytes in the machine's order."""
    words = [int(text[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def _hasPassword(path: Path) -> bool:
    """Whether a file names a password; one that cannot be understood may well."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text(errors="replace"))
    except configparser.Error:
        return True
    except OSError:
        return False
    return any(parser.get(section, key, fallback="") for section in parser.sections() for key in ("passwd", "password"))
