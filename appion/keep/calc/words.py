"""The words of a command, with what stands in databases filled in: never by a shell, never as an option of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from appion.base.failures import ConfigurationFailure

#: What a profile's line may ask for.
PLACEHOLDERS = ("session", "project", "preset", "runname", "rundir", "gpuids")

PLACEHOLDER = re.compile(r"\{(\w+)\}")

#: What a value may be made of: nothing that a shell, a scheduler's script or systemd would take for something else.
HARMLESS = re.compile(r"[\w.,:@=+/-]*", re.ASCII)

#: Options that say which run it is, and what they are if a line does not say them.
OWN_OPTIONS = {
    "session": "{session}", "projectid": "{project}", "preset": "{preset}", "runname": "{runname}",
    "rundir": "{rundir}",
}  # fmt: skip


def fillWords(words: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """Return the words with these placeholders filled in; others are left, and no value can have one.

    Raises:
        ConfigurationFailure: a value could be taken for something else than a value.
    """

    def fill(match: re.Match[str]) -> str:
        return checkValue(match[1], values[match[1]]) if match[1] in values else match[0]

    return [PLACEHOLDER.sub(fill, word) for word in words]


def checkValue(name: str, value: str) -> str:
    """Return a value that stands in a database.

    Raises:
        ConfigurationFailure: it has odd characters, or begins as an option does.
    """
    if not HARMLESS.fullmatch(value) or value.startswith("-"):
        raise ConfigurationFailure(f"{name} {value!r} has characters that no command line is given by itself",
                                   "start this one by hand")  # fmt: skip
    return value


def readOption(words: Iterable[str], name: str) -> str | None:
    """Return the value of ``--name=value`` among some words; None if it is not there."""
    start = f"--{name}="
    return next((word.removeprefix(start) for word in words if word.startswith(start)), None)


def chooseRunName(base: str, names: Iterable[str]) -> str:
    """Return the next free run name as the web pages number them: one more than the highest that there is."""
    pattern = re.compile(re.escape(base) + r"(\d{1,9})", re.ASCII)
    numbers = [int(match[1]) for match in map(pattern.fullmatch, names) if match]
    return f"{base}{max(numbers, default=0) + 1}"
