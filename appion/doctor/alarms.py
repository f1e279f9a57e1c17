"""Alarms: rules that can be judged, receivers that can be told, secrets that stay secret."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from appion.base.calc.alarmrules import FILE
from appion.base.programs.tell import checkReceivers
from appion.base.retrieve.alarms import readAlarms
from appion.doctor.finding import NOTE, TODO, WELL, Finding


def checkAlarms() -> Iterator[Finding]:
    """Look at what is to be judged and who is to be told; nobody is told anything."""
    alarms = readAlarms()
    if not alarms.rules:
        yield Finding(WELL, "alarms", "none are asked for (appion.alarms.rules)")
        return
    names = ", ".join(rule.name for rule in alarms.rules)
    if not alarms.receivers:
        yield Finding(NOTE, "alarms", f"{names}: nobody is told of them, they are in log, events and status",
                      "name somebody in appion.alarms.receivers")  # fmt: skip
        return
    for receiver in alarms.receivers:
        if receiver.service.startswith(FILE):
            path = Path(receiver.service.removeprefix(FILE))
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o007:
                yield Finding(TODO, "alarms", f"{path} holds an address, and everybody may use it (mode {mode:04o})",
                              f"chgrp it to those who run daemons, then chmod 640 {path}")  # fmt: skip
    checkReceivers(alarms.receivers)
    receivers = ", ".join(receiver.name for receiver in alarms.receivers)
    yield Finding(WELL, "alarms", f"{names}: told to {receivers}; `appion alarm --test RUNDIR` tries it")
