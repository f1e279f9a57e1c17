"""What is said of an alarm: JSON for programs, and the same as a few lines for people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from appion.base.calc.pace import formatDuration
from appion.base.calc.plain import makePlain
from appion.base.records.alarm import BEGINS, OVER, TRIAL, UNITS, Reading, Rule
from appion.base.records.series import COLUMNS

#: Longest name or reason of somebody else's in a message.
LONGEST = 300

#: What a service may take for markup, mention or link is shown as this; a program gets it as it is, in JSON.
HARMLESS = frozenset(" ._-+/:=,;()%°'")


def constructMessage(
    rule: Rule, what: str, reading: Reading | None, about: Mapping[str, Any], address: str, now: float, since: float
) -> dict[str, Any]:
    """Return a message as programs get it.

    Args:
        what: BEGINS, OVER or TRIAL. about: `session`, `run` (its folder), `step` and `host` of the run.
        since: when the alarm began (Unix time); of an alarm that begins now.
    """
    column = COLUMNS.get(rule.subject)
    names = {key: str(about.get(key, "")) for key in ("session", "run", "step", "host")}
    title = {BEGINS: "ALARM", OVER: "over", TRIAL: "TRIAL, no alarm"}[what]
    text = reading.text if reading is not None else "not known yet"
    lasted = f"; it lasted {formatDuration(now - since)}" if what == OVER else ""
    key = f"{names['run']}\0{rule.name}\0{what}\0{since!r}\0{now!r}"
    return {
        "id": hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:16],
        "what": what, "alarm": rule.name, "title": f"{title}: {rule.name}", "text": f"{text}{lasted}",
        "subject": rule.subject, "unit": nameUnit(rule),
        "value": None if reading is None else reading.value, "limit": None if reading is None else reading.limit,
        "session_value": None if reading is None else reading.reference,
        "last": rule.last if column else None, "time": now, "since": since,
        **names, "link": constructLink(address, names["session"]),
    }  # fmt: skip


def nameUnit(rule: Rule) -> str:
    """Return the unit of what a rule looks at; empty if that has none."""
    return COLUMNS[rule.subject].unit if rule.subject in COLUMNS else UNITS[rule.subject]


def constructLink(address: str, session: str) -> str:
    """Return where the page of a session is; empty if there is none, or if its name would lead elsewhere."""
    if not address:
        return ""
    if session in ("", ".", ".."):
        return f"{address}/"
    return f"{address}/session/{quote(session.encode('utf-8', 'replace'), safe='')}/"


def describeMessage(message: Mapping[str, Any]) -> tuple[str, str]:
    """Return title and text of a message for people, with nothing in it that a service would take for markup."""
    where = " ".join(filter(None, (tame(message["session"]), tame(str(message["run"]).rpartition("/")[2]))))
    lines = [
        tame(message["text"]),
        f"session {tame(message['session'])}, {tame(message['step'])}, run {tame(message['run'])}",
        *([message["link"]] if message["link"] else []),
    ]
    return f"appion {where}: {message['title']}", "\n".join(lines)


def tame(text: object) -> str:
    """Return a text with letters, digits and harmless signs only, on one line and not too long."""
    plain = makePlain(text)
    plain = plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."
    return "".join(letter if letter.isalnum() or letter in HARMLESS else "?" for letter in plain)
