"""What a service tells systemd: that it is ready, that it is alive, that it ends (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

#: What systemd sets for a service of Type=notify, and nobody that the service starts is to have.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

#: Seconds that a message may take. It is a few bytes to a socket of this machine.
PATIENCE = 1.0

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


@dataclass
class Manager:
    """The systemd that waits for news of this process.

    Attributes:
        address: of its socket, as the system takes it. pid: of the process that it started.
        every: seconds between two signs of life; None: it waits for none. told: when the last one was, by
            :func:`time.monotonic`.
    """

    address: bytes
    pid: int
    every: float | None = None
    told: float = float("-inf")


_manager: Manager | None = None


def takeSystemd() -> None:
    """Take the variables that systemd set for this process out of its environment, and remember them.

    What it starts after that does not have them: a child that told for itself that it ends would end the service.
    """
    global _manager
    address, usec, pid = (os.environ.pop(name, "") for name in VARIABLES)
    if address[:1] not in ("/", "@") or len(address) < 2:
        return
    raw = os.fsencode(address)
    _manager = Manager(b"\0" + raw[1:] if raw.startswith(b"@") else raw, os.getpid())
    if usec.isdecimal() and int(usec) and pid in ("", str(os.getpid())):
        _manager.every = int(usec) / 1e6 / 4  # by half of it one has to be there, however late a turn is


def tellSystemd(*words: str) -> bool:
    """Tell what is to be told, e.g. ``READY=1``; False where nobody waits for it or it cannot be told."""
    if _manager is None or _manager.pid != os.getpid():
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(PATIENCE)
            line.connect(_manager.address)
            line.send("\n".join(words).encode())
    except OSError:
        return False  # it is started anew, or does not listen: nothing here depends on it
    return True


def tellAlive() -> None:
    """Give a sign of life if one is due; to be called by what would stand still if the process hung."""
    if _manager is not None and _manager.every is not None and time.monotonic() - _manager.told >= _manager.every / 2:
        _manager.told = time.monotonic()
        tellSystemd(ALIVE)


def calcLongestPause() -> float:
    """Seconds for which whoever gives signs of life may wait for something else; endless where none are due."""
    return float("inf") if _manager is None or _manager.every is None else _manager.every
