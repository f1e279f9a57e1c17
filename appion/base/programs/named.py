"""The program that the caller of a function named, or the usual one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from appion.base.failures import ConfigurationFailure
from appion.base.programs.find import findProgram
from appion.base.records.program import Program


def findNamed(program: str | os.PathLike[str] | None, usual: str, others: Sequence[str], remedy: str) -> Program:
    """Return the program to use; each is asked for its version once in this process.

    Args:
        program: its name or path; None: the usual one.
        usual: what is wanted, see :data:`appion.base.programs.searches.SEARCHES`, unless the name holds one of
            `others`, the first of which counts.
        remedy: what to give instead.

    Raises:
        ConfigurationFailure: there is no such program.
    """
    try:
        return _askProgram(
            "" if program is None else os.fspath(program), usual, tuple(others), os.environ.get("PATH", "")
        )
    except ConfigurationFailure as error:
        raise ConfigurationFailure(f"program={program!s}: {error.reason}", remedy) from error


@lru_cache(maxsize=64)
def _askProgram(program: str, usual: str, others: Sequence[str], _search_path: str) -> Program:
    name = os.path.basename(program).lower()
    return findProgram(next((one for one in others if one in name), usual), program)
