"""Telling somebody something: a program that gets JSON, or a service, by a process of its own that ends in time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.calc.alarmmessage import describeMessage
from appion.base.calc.plain import formatJson, makePlain
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.programs.output import collectOutput
from appion.base.programs.run import openPipe, startProgram
from appion.base.records.alarm import Receiver
from appion.base.retrieve.alarms import readService

#: Where the module is that talks to services; it needs packages that a daemon does not have in memory otherwise.
APPRISER = "appion.base.programs.appriser"

#: Seconds in which apprise says whether it knows an address.
PATIENCE = 50.0

#: Characters of what a receiver printed last that are kept.
LONGEST = 200


def tellReceiver(receiver: Receiver, message: Mapping[str, Any], timeout: float) -> str:
    """Tell a message to a receiver within so many seconds; returns why that failed, or an empty text.

    Nothing of what a receiver does can raise, hang or fill anything here: it is a program without a shell, with the
    message as a file on its standard input, ended with its children when its time is over or it prints without end.
    """
    try:
        if receiver.command:
            return runReceiver(receiver.command, formatJson(message) + "\n", timeout)
        title, text = describeMessage(message)
        return askService(readService(receiver), timeout, title=title, body=text)
    except Failure as failure:
        return failure.reason
    except OSError as error:
        return error.strerror or str(error)


def checkReceivers(receivers: Iterable[Receiver]) -> None:
    """Have apprise look at the addresses of services; nobody is told anything.

    Raises:
        ConfigurationFailure: it can make nothing of one, or that is not where it is said to be.
        OSError: as the system gives it.
    """
    for receiver in receivers:
        if receiver.service and (why := askService(readService(receiver), PATIENCE)):
            remedy = "write the address as apprise documents it"
            raise ConfigurationFailure(f"appion.alarms.receivers: {receiver.name}: {why}", remedy)


def askService(service: str, timeout: float, **words: str) -> str:
    """Have a process of its own talk to a service, or without words only look at its address."""
    more = {name: value for name, value in os.environ.items() if name in ("PYTHONPATH", "PYTHONHOME")}
    message = json.dumps({"service": service, **words})
    return runReceiver((sys.executable, "-m", APPRISER), message, timeout, more)


def runReceiver(
    command: Sequence[str], message: str, timeout: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program with a text on its standard input; returns why it did not end well, or an empty text.

    Raises:
        ConfigurationFailure, InfrastructureFailure: it cannot be started. OSError: as the system gives it.
    """
    printed: deque[bytes] = deque(maxlen=4)
    with os.fdopen(os.memfd_create("message"), "wb+", buffering=0) as source, openPipe() as (ours, theirs):
        source.write(message.encode())
        source.seek(0)
        deadline = time.monotonic() + timeout
        with startProgram(command, Path("/"), source.fileno(), theirs.fileno(), lambda _: None, environment) as process:
            theirs.close()
            in_time, flood = collectOutput(process, ours.fileno(), printed.append, deadline)
    if not in_time:
        return f"it did not end within {timeout:g} s"
    if flood:
        return f"it {flood}"
    if not process.returncode:
        return ""
    lines = b"".join(printed).decode("utf-8", "replace").split("\n")
    last = makePlain(next((line for line in reversed(lines) if line.strip()), "").strip())[:LONGEST]
    how = f"was ended by signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
    return f"{how}{': ' if last else ''}{last}"
