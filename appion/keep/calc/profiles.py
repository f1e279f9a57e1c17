"""Profiles as they stand in the settings: plain tables, every word of which is checked before anything is started."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.keep.calc.words import OWN_OPTIONS, PLACEHOLDER, PLACEHOLDERS, readOption
from appion.keep.records import PROGRAMS, STARTS, Command, Profile

#: Words of a profile that say for which sessions it is, by the field of the record.
MATCHES = {"microscope": "microscopes", "camera": "cameras", "session": "sessions", "preset": "presets",
           "project": "projects", "format": "formats"}  # fmt: skip
WORDS = ("name", *MATCHES, "commands", "runs", "priority", "start", "idle", "finished")

FORMATS = ("mrc", "tif", "eer")

NAME = re.compile(r"[A-Za-z0-9][\w.+]{0,39}", re.ASCII)


def parseProfiles(tables: Iterable[Any], start: str, gpus: int | None, dealt: bool = False) -> tuple[Profile, ...]:
    """Return the profiles that a list of tables asks for.

    Args:
        start: how daemons are started where a profile does not say it. gpus: that there are in all, None: any number.
        dealt: whether it is known which GPUs there are, so that each run can be given its own.

    Raises:
        ConfigurationFailure: one is not possible, with its place, the word, its value and what to write.
    """
    if start not in STARTS:
        raise ConfigurationFailure(f"setting appion.keep.start is {start!r}", describeNearest(start, STARTS))
    profiles: list[Profile] = []
    for number, table in enumerate(tables, 1):
        profile = parseProfile(f"appion.keep.profiles, number {number}", table, start, gpus)
        if profile.name in [one.name for one in profiles]:
            raise ConfigurationFailure(f"appion.keep.profiles: two are called {profile.name}", "give each its own name")
        if not dealt and any("{gpuids}" in word for command in profile.commands for word in command.words):
            what = f"appion.keep.profiles: {profile.name} asks for {{gpuids}}, and nobody says which there are"
            raise ConfigurationFailure(what, "write them into appion.keep.gpuids, for example [0, 1]")
        profiles.append(profile)
    return tuple(profiles)


def parseProfile(place: str, table: Any, start: str, gpus: int | None) -> Profile:
    """Return the profile of one table; see :func:`parseProfiles`."""
    if not isinstance(table, Mapping):
        raise ConfigurationFailure(f"{place} is {table!r}", "write a table: name, commands, and whom it is for")
    name = table.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigurationFailure(f"{place}: name is {name!r}", "write up to 40 letters, digits, and . + _")
    place = f"{place} ({name})"
    checkWords(place, table, WORDS)
    chosen = table.get("start", start)
    if chosen not in STARTS:
        raise ConfigurationFailure(f"{place}: start is {chosen!r}", describeNearest(chosen, STARTS))
    lines = table.get("commands")
    if not isinstance(lines, (list, tuple)) or not lines:
        raise ConfigurationFailure(f"{place}: commands is {lines!r}", "write a list of command lines")
    commands = tuple(parseCommand(f"{place}, command {number}", line, gpus) for number, line in enumerate(lines, 1))
    matches = {field: readList(place, word, table[word]) for word, field in MATCHES.items() if word in table}
    numbers = {word: readNumber(place, word, table[word]) for word in ("priority", "idle", "finished") if
               table.get(word) is not None}  # fmt: skip
    runs = table.get("runs")
    if runs is not None and (type(runs) is not int or runs < 1):
        raise ConfigurationFailure(f"{place}: runs is {runs!r}", "write a whole number from 1, or leave it out")
    return Profile(name, commands, **matches, **numbers, runs=runs, start=chosen)  # type: ignore[arg-type]


def parseCommand(place: str, line: Any, gpus: int | None) -> Command:
    """Return the command of a line, or of a table with a `line` and a number of `gpus`."""
    table = line if isinstance(line, Mapping) else {"line": line}
    checkWords(place, table, ("line", "gpus"))
    try:
        words = shlex.split(table["line"]) if isinstance(table.get("line"), str) else []
    except ValueError as error:
        raise ConfigurationFailure(f"{place}: {error}", "close the quotes") from error
    if not words:
        raise ConfigurationFailure(f"{place} is {line!r}", "write a command line, for example 'motioncor2.py --align'")
    if words[0] not in PROGRAMS:
        raise ConfigurationFailure(f"{place}: program {words[0]!r}", describeNearest(words[0], PROGRAMS))
    for word in words:
        checkPlaceholders(place, word)
    listed = readOption(words, "gpuids")
    need = table.get("gpus", len(listed.split(",")) if listed else 0)
    if type(need) is not int or need < 0 or (gpus is not None and need > gpus):
        limit = "" if gpus is None else f" to {gpus}, which are all there are (keep.gpus, keep.gpuids)"
        raise ConfigurationFailure(f"{place}: gpus is {need!r}", f"write a whole number from 0{limit}")
    if any("{gpuids}" in word for word in words) and not need:
        raise ConfigurationFailure(f"{place}: {{gpuids}} of no GPU", "write gpus: 1, or more")
    return Command(words[0], (*words[1:], *completeWords(place, words)), need)


def checkPlaceholders(place: str, word: str) -> None:
    """Raise ConfigurationFailure for a placeholder that nobody fills in, or that is not the value of an option."""
    for name in PLACEHOLDER.findall(word):
        if name not in PLACEHOLDERS:
            raise ConfigurationFailure(f"{place}: {{{name}}}", describeNearest(name, PLACEHOLDERS))
        if not re.match(r"--[\w-]+=", word):
            raise ConfigurationFailure(f"{place}: {word}", f"write --OPTION={{{name}}}, so that it is always a value")
    if re.search(r"[{}]", PLACEHOLDER.sub("", word)):
        raise ConfigurationFailure(f"{place}: {word}", f"there are {', '.join(f'{{{one}}}' for one in PLACEHOLDERS)}")


def completeWords(place: str, words: list[str]) -> list[str]:
    """Return the options that a line has to have and does not: which session, run and folder.

    Raises:
        ConfigurationFailure: it says one of them for all sessions alike.
    """
    missing = []
    for name, value in OWN_OPTIONS.items():
        if f"--{name}" in words:
            raise ConfigurationFailure(f"{place}: --{name} has its value in the next word", f"write --{name}=VALUE")
        given = readOption(words, name)
        if given is None:
            missing.append(f"--{name}={value}")
        elif name in ("session", "projectid", "runname") and given != value:
            raise ConfigurationFailure(f"{place}: --{name}={given}", f"write --{name}={value}, or leave it out")
        elif name == "rundir" and given != value and not given.endswith("/{runname}"):
            raise ConfigurationFailure(f"{place}: --rundir={given}", "let it end in /{runname}, or leave it out")
    return missing


def readList(place: str, word: str, value: Any) -> tuple[Any, ...]:
    """Return what a word that says for whom a profile is lists."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    kind = int if word == "project" else str
    if not values or any(type(one) is not kind or (kind is str and not one) for one in values):
        what = "project ids" if kind is int else "texts"
        raise ConfigurationFailure(f"{place}: {word} is {value!r}", f"write a list of {what}")
    if word == "format" and (unknown := [one for one in values if one not in FORMATS]):
        raise ConfigurationFailure(f"{place}: format is {unknown[0]!r}", describeNearest(unknown[0], FORMATS))
    return tuple(values)


def readNumber(place: str, word: str, value: Any) -> float:
    """Return a value that has to be a number that is not negative; a priority may be."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or (value < 0 and word != "priority"):
        raise ConfigurationFailure(f"{place}: {word} is {value!r}", "write a number" if word == "priority" else
                                   "write a number of seconds")  # fmt: skip
    return float(value)


def checkWords(place: str, table: Mapping[Any, Any], words: Iterable[str]) -> None:
    """Raise ConfigurationFailure for a word that means nothing."""
    for word in table:
        if word not in words:
            raise ConfigurationFailure(f"{place}: unknown word {word!r}", describeNearest(word, words))


def describeNearest(word: Any, known: Iterable[str]) -> str:
    """Return what was probably meant, or what there is."""
    names = list(known)
    near = difflib.get_close_matches(str(word), names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
