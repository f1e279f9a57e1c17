"""Alarms as they stand in the settings: plain tables, every word of which is checked; nothing in them is evaluated."""

from __future__ import annotations

import difflib
import math
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from appion.base.failures import ConfigurationFailure
from appion.base.records.alarm import ENDED, FREE_SPACE, NOTHING_STORED, SET_ASIDE, Receiver, Rule
from appion.base.records.series import COLUMNS

#: Columns that a rule may look at.
NUMBERS = tuple(name for name, column in COLUMNS.items() if column.median and column.digits is not None)

#: Words of a rule that say what it looks at; of these `number` needs a limit and the others have it as their value.
SUBJECTS = ("number", NOTHING_STORED, SET_ASIDE, FREE_SPACE, ENDED)
LIMITS = ("above", "below", "above_session", "below_session")
WORDS = ("name", *SUBJECTS, *LIMITS, "last", "clear")

#: How far on the good side of its limit an alarm is over, unless `clear` says it, as a share of the limit.
MARGIN = 0.1

#: Most exposures of one median.
MOST = 1000

NAME = re.compile(r"[A-Za-z0-9][\w .:+-]{0,59}", re.ASCII)

#: Where a secret address stands instead of standing in the settings.
ENVIRONMENT, FILE = "env:", "file:"


def parseRules(tables: Iterable[Any]) -> tuple[Rule, ...]:
    """Return the rules that a list of tables asks for.

    Raises:
        ConfigurationFailure: one is not possible, with its place, the word, its value and what to write.
    """
    rules: list[Rule] = []
    for number, table in enumerate(tables, 1):
        place = f"appion.alarms.rules, number {number}"
        name = readName(place, table, [rule.name for rule in rules])
        rules.append(parseRule(f"{place} ({name})", name, table))
    return tuple(rules)


def readName(place: str, table: Any, others: Iterable[str]) -> str:
    """Return the name in a table, which no other may have."""
    if not isinstance(table, Mapping):
        raise ConfigurationFailure(f"{place} is {table!r}", "write a table, for example {name: far, number: drift,"
                                   " above: 30}")  # fmt: skip
    name = table.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        remedy = "write a name of its own: up to 60 letters, digits, blanks and . : + - _"
        raise ConfigurationFailure(f"{place}: name is {name!r}", remedy)
    if name in others:
        raise ConfigurationFailure(f"{place}: name is {name!r}, as of another one", "give each a name of its own")
    return name


def parseRule(place: str, name: str, table: Mapping[Any, Any]) -> Rule:
    """Return the rule of one table; see :func:`parseRules`."""
    checkWords(place, table, WORDS)
    subjects = [word for word in SUBJECTS if word in table]
    if len(subjects) != 1:
        have = " and ".join(subjects) or "none of them"
        raise ConfigurationFailure(f"{place} has {have}", f"give it one of {', '.join(SUBJECTS)}")
    subject = subjects[0]
    if subject == "number":
        return parseNumber(place, name, table)
    others = [word for word in table if word not in ("name", subject, *(() if subject == ENDED else ("clear",)))]
    if others:
        raise ConfigurationFailure(f"{place}: {others[0]} does not go with {subject}", f"leave {others[0]} out")
    if subject == ENDED:
        if table[ENDED] is not True and table[ENDED] != "unexpected":
            raise ConfigurationFailure(f"{place}: {ENDED} is {table[ENDED]!r}", "write true, or unexpected")
        return Rule(name, ENDED, unexpected=table[ENDED] == "unexpected")
    limit, below = readNumber(place, subject, table[subject]), subject == FREE_SPACE
    if limit < 0:
        raise ConfigurationFailure(f"{place}: {subject} is {limit:g}", "write a number that is not negative")
    return Rule(name, subject, limit, below, clear=readClear(place, table, limit, below))


def parseNumber(place: str, name: str, table: Mapping[Any, Any]) -> Rule:
    """Return the rule of a number of the exposures."""
    number = table["number"]
    if number not in NUMBERS:
        near = difflib.get_close_matches(str(number), NUMBERS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NUMBERS)}"
        raise ConfigurationFailure(f"{place}: number is {number!r}", hint)
    limits = [word for word in LIMITS if word in table]
    if len(limits) != 1:
        have = " and ".join(limits) or "no limit"
        raise ConfigurationFailure(f"{place} has {have}", f"give it one of {', '.join(LIMITS)}")
    word = limits[0]
    limit, below, session = readNumber(place, word, table[word]), word.startswith("below"), word.endswith("session")
    if session and limit <= 0:
        raise ConfigurationFailure(f"{place}: {word} is {limit:g}", "write how many times the session's median, as 2")
    last = table.get("last", 20)
    if type(last) is not int or not 1 <= last <= MOST:
        raise ConfigurationFailure(f"{place}: last is {last!r}", f"write a whole number from 1 to {MOST}")
    return Rule(name, number, limit, below, session, readClear(place, table, limit, below), last)


def readClear(place: str, table: Mapping[Any, Any], limit: float, below: bool) -> float:
    """Return where an alarm is over, which is on the good side of its limit."""
    if "clear" not in table:
        return limit + (abs(limit) if below else -abs(limit)) * MARGIN
    clear = readNumber(place, "clear", table["clear"])
    if clear < limit if below else clear > limit:
        side = "above" if below else "below"
        raise ConfigurationFailure(f"{place}: clear is {clear:g}", f"write a number {side} the limit, {limit:g}")
    return clear


def readNumber(place: str, word: str, value: Any) -> float:
    """Return a value that has to be a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigurationFailure(f"{place}: {word} is {value!r}", "write a number")
    return float(value)


def checkWords(place: str, table: Mapping[Any, Any], words: Iterable[str]) -> None:
    """Raise ConfigurationFailure for a word that means nothing."""
    for word in table:
        if word not in words:
            near = difflib.get_close_matches(str(word), words, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(words)}"
            raise ConfigurationFailure(f"{place}: unknown word {word!r}", hint)


def parseReceivers(tables: Iterable[Any]) -> tuple[Receiver, ...]:
    """Return who is to be told; nothing of an address is ever in a message.

    Raises:
        ConfigurationFailure: one is not possible.
    """
    found: list[Receiver] = []
    for number, table in enumerate(tables, 1):
        place = f"appion.alarms.receivers, number {number}"
        if not isinstance(table, Mapping) or ("command" in table) == ("apprise" in table):
            raise ConfigurationFailure(f"{place} is no receiver", "write {command: [PROGRAM, ARGUMENT, ...]},"
                                       " {apprise: env:VARIABLE} or {apprise: file:/PATH}")  # fmt: skip
        checkWords(place, table, ("name", "command", "apprise"))
        parse, word = (parseCommand, "command") if "command" in table else (parseService, "apprise")
        receiver = parse(place, table[word])
        others = [one.name for one in found]
        name = readName(place, table, others) if "name" in table else receiver.name
        if name in others:
            raise ConfigurationFailure(f"{place} is called {name}, as another one", "give them names, as name: group")
        found.append(Receiver(name, receiver.command, receiver.service))
    return tuple(found)


def parseCommand(place: str, words: Any) -> Receiver:
    """Return the receiver of a program with its arguments."""
    if not isinstance(words, (list, tuple)) or not words or not all(isinstance(word, str) and word for word in words):
        remedy = "write a list of texts, [PROGRAM, ARGUMENT, ...]: no shell takes it apart"
        raise ConfigurationFailure(f"{place}: command is {words!r}", remedy)
    if shutil.which(words[0]) is None:
        remedy = "write the whole path of a program that may be executed"
        raise ConfigurationFailure(f"{place}: {words[0]} is no program on this host", remedy)
    return Receiver(f"command {Path(words[0]).name}", tuple(words))


def parseService(place: str, service: Any) -> Receiver:
    """Return the receiver of an address that apprise knows, or of a place where one stands."""
    if not isinstance(service, str) or not service:
        raise ConfigurationFailure(f"{place}: apprise is no text", "write env:VARIABLE, file:/PATH or an address")
    if service.startswith((ENVIRONMENT, FILE)):
        if service.startswith(FILE) and not service.removeprefix(FILE).startswith("/"):
            raise ConfigurationFailure(f"{place}: apprise is {service!r}", "write the whole path, file:/PATH")
        return Receiver(f"apprise {service}", service=service)
    scheme, found, _ = service.partition("://")
    if not found or not re.fullmatch(r"[A-Za-z0-9+.-]{1,32}", scheme):
        raise ConfigurationFailure(f"{place}: apprise is no address of a service", "write it as apprise documents it,"
                                   " SERVICE://..., or where it stands, env:VARIABLE or file:/PATH")  # fmt: skip
    return Receiver(f"apprise {scheme}", service=service)


def parseAddress(address: str | None) -> str:
    """Return the address below which pages of sessions are, without a slash at its end; empty if there is none.

    Raises:
        ConfigurationFailure: it is none.
    """
    if not address:
        return ""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
    except ValueError:
        good = False
    if not good or not address.isprintable() or " " in address:
        raise ConfigurationFailure(f"setting appion.alarms.address is {address!r}", "write https://HOST/PATH, or null")
    return address.rstrip("/")
