"""The variables that an external program gets: this process's, without what is meant for this process alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from appion.base.programs.searches import SEARCHES

#: Of the language: under LC_ALL they say nothing, but some programs read them for themselves.
LANGUAGE = re.compile(r"LC_\w*|LANG|LANGUAGE")

#: Of Dask, also what it sets for its workers.
DASK = re.compile(r"DASK_\w*|MALLOC_TRIM_THRESHOLD_")

#: Of this Python and its environment: another Python, as of a site's wrapper, would take its modules for its own.
PYTHON = re.compile(r"_*PYTHON\w*|__PYVENV_LAUNCHER__|VIRTUAL_ENV(?:_PROMPT)?")

#: By which systemd knows a service: a program that used them would speak for the daemon or for a worker.
SYSTEMD = re.compile(r"NOTIFY_SOCKET|WATCHDOG_(?:USEC|PID)|LISTEN_(?:FDS|PID|FDNAMES)")

#: What nobody needs who computes: others of this user see the variables of its processes, and core files keep them.
SECRET = re.compile(r"MYSQL_PWD|\w*(?:PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL)\w*", re.IGNORECASE)

#: The programs of this package, which may have been installed so that they need the latter.
OWN = frozenset(search.cpu for search in SEARCHES.values() if search.cpu)


def constructEnvironment(
    program: str, more: Mapping[str, str] | None = None, variables: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the variables for a program.

    Some write decimal commas or crash in the language of whoever started the daemon, so it is C for all.

    Args:
        program: its name or path. more: what is added in the end. variables: those of this process.
    """
    foreign = (LANGUAGE, DASK, SYSTEMD, SECRET, *(() if Path(program).name in OWN else (PYTHON,)))
    kept = {name: value for name, value in variables.items() if not any(one.fullmatch(name) for one in foreign)}
    return {**kept, "LC_ALL": "C", **(more or {})}
