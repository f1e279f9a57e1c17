"""What a program does that is kept ready, see :mod:`appion.base.programs.ready`: it loads all it needs and waits."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from appion.base.cli.numerics import prepareNumerics
from appion.base.records.ready import LARGEST, STAY

if TYPE_CHECKING:
    import socket


def readOptions(argv: Sequence[str] | None, modules: Sequence[str]) -> list[str] | None:
    """Return the options of this program: what it is given, or what it is asked for after it has waited, if ever."""
    options = sys.argv[1:] if argv is None else list(argv)
    return awaitCommand(options[1], modules) if options[:1] == [STAY] and len(options) == 2 else options


def awaitCommand(number: str, modules: Sequence[str]) -> list[str] | None:
    """Wait on a socket, and return in a copy of this process, the options of the program that it is to be.

    The copy has input, output, folder and variables as asked for, and leads a session. In this process None is
    returned, when nobody is there any more to ask.

    Args:
        number: of the socket. modules: what is loaded before.
    """
    import importlib
    import json
    import socket

    with socket.socket(fileno=int(number)) as asks:
        prepareNumerics()
        for name in modules:
            importlib.import_module(name)
        gc.freeze()  # what is there now stays, and need not be written to in each copy
        while True:
            try:
                request, files, _, _ = socket.recv_fds(asks, LARGEST, 2)
                if not request:
                    return None
                child = os.fork()
                if not child:
                    return _become(asks, json.loads(request), files)
                for file in files:
                    os.close(file)
                _, status = os.waitpid(child, 0)
                asks.send(b"end %d" % os.waitstatus_to_exitcode(status))
            except ConnectionError:
                return None


def _become(asks: socket.socket, request: dict, files: Sequence[int]) -> list[str]:
    os.setsid()
    os.chdir(request["cwd"])
    for file, number in zip((files[0], files[1], files[1]), range(3), strict=True):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        old, at_once = getattr(sys, name), number == 2 or os.isatty(number)
        new = open(  # noqa: SIM115
            number, mode, buffering=1 if at_once else -1, encoding=old.encoding, errors=old.errors, closefd=False
        )
        setattr(sys, name, new)  # the old one has taken note of what it was open to
    asks.send(b"copy %d" % os.getpid())
    if not asks.recv(8):  # whoever asked did not wait for it, and knows nothing of it
        raise ConnectionAbortedError
    return request["argv"]
