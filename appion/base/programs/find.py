"""Finding the program that a command runs: by the settings, by the variables that sites set, by its name in PATH.

The command decides what is looked for first. Names are taken in any letter case and with what people leave on them,
the plain ones first. A program that ships with this package and needs no GPU is never chosen unless it is asked for.

Neither Django nor Dask is imported here: the settings are handed in.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.programs.identify import COMMAND, NO_PROGRAM, calcVersionKey, identifyProgram, judgeName
from appion.base.programs.searches import SEARCHES, Search, chooseSearch
from appion.base.records.program import Program

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A program, and what a person should hear of how it was chosen, as (logging level, text)."""

    program: Program
    messages: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A file that may be the program, and why it would be this one."""

    path: str
    reason: str


def findProgram(
    wanted: str,
    executable: str = "",
    search_path: str | None = None,
    timeout: float = 30.0,
    cpu_fallback: bool = False,
) -> Program:
    """Return the program to use and log how it was chosen; see :func:`searchProgram`."""
    found = searchProgram(wanted, executable, search_path, timeout, cpu_fallback)
    for level, text in found.messages:
        log.log(level, "%s", text)
    return found.program


def searchProgram(
    wanted: str,
    executable: str = "",
    search_path: str | None = None,
    timeout: float = 30.0,
    cpu_fallback: bool = False,
) -> Found:
    """Return the program to use: the one that is named, else that of the wanted kind, else what does instead.

    Args:
        wanted: a key of :data:`SEARCHES`, or the name of a command.
        executable: what the setting says: a name, a path, or a folder with the versions of it; empty: nothing.
        search_path: where to look, as PATH is written; None: PATH. Own programs are found wherever this package is.
        timeout: seconds that a program gets to tell its version.
        cpu_fallback: whether the program of this package may be used where no other is found.

    Raises:
        ConfigurationFailure: there is no such program; it says what was looked for, where, and what to do.
    """
    search = SEARCHES[wanted if wanted in SEARCHES else chooseSearch(wanted)]
    named = [(executable, f"the setting {search.setting}")] if executable else []
    named += [(os.environ[name], f"the variable {name}") for name in search.variables if os.environ.get(name)]
    if named:
        return _takeNamed(search, *named[0], search_path, timeout)
    folders = listFolders(search_path)
    strangers: list[Program] = []
    found = _takeBest(search, listCandidates(search, folders), timeout, strangers)
    if found is None and search.substitute:
        other = SEARCHES[search.substitute]
        found = _takeBest(other, listCandidates(other, folders), timeout, [])
        stranger = next((one for one in strangers if one.kind == other.kind), None)
        found = found or (Found(stranger) if stranger else None)
        if found is not None:
            text = f"no {search.title} was found: {found.program} is used in its place"
            found = Found(found.program, (*found.messages, (logging.WARNING, text)))
    own = findOwn(search.cpu, search_path) if search.cpu and cpu_fallback else None
    if found is None and own is not None:
        program = identifyProgram(search.family, own, timeout)
        text = f"no {search.title} was found: {program} is used in its place, as the setting cpu_fallback says"
        found = Found(program, ((logging.WARNING, text),))
    if found is None:
        raise constructMissing(search, folders, strangers)
    return found


def _takeNamed(search: Search, name: str, origin: str, search_path: str | None, timeout: float) -> Found:
    """Return the program that a setting or a variable names by itself or by its folder."""
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        return _takeNewest(search, path, origin, timeout)
    remedy = f"correct {origin}"
    file = shutil.which(path, path=search_path) or (findOwn(name, search_path) if name == search.cpu else None)
    if file is None:
        raise ConfigurationFailure(f"program '{name}' is not an executable file", remedy)
    if COMMAND.fullmatch(Path(file).name):
        what = f"program '{name}' is a command of Appion, not the {search.title} that it runs"
        raise ConfigurationFailure(what, remedy)
    program = identifyProgram(search.family, file, timeout)
    allowed = {search.kind, search.cpu, search.substitute and SEARCHES[search.substitute].kind}
    if program.kind not in allowed:
        raise ConfigurationFailure(f"program '{name}' is {program.label}, not {search.title}", remedy)
    messages: tuple[tuple[int, str], ...] = ()
    if program.kind != search.cpu and not _isWanted(search, program):
        messages = ((logging.WARNING, f"{origin} names {program}, the command is made for {search.title}"),)
    return Found(program, messages)


def _takeNewest(search: Search, folder: str, origin: str, timeout: float) -> Found:
    """Return the newest version in a folder: in itself, in its bin, or in those of its folders that have such names."""
    places = [folder, os.path.join(folder, "bin")]
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir() and (judgeName(entry.name) == search.kind or re.fullmatch(r"v?\d[\w.+-]*", entry.name)):
            places += [entry.path, os.path.join(entry.path, "bin")]
    asked = [identifyProgram(search.family, one.path, timeout) for one in listCandidates(search, places)]
    programs = [one for one in asked if one.kind == search.kind]
    if not programs:
        raise ConfigurationFailure(
            f"the folder {folder} has no {search.title} ({', '.join(search.names)})", f"correct {origin}"
        )
    best = max(programs, key=lambda one: (_isWanted(search, one), calcVersionKey(one.version)))
    return Found(best, (_explainChoice(search, best.path, f"the newest version in {folder}", asked),))


def _takeBest(
    search: Search, candidates: Sequence[Candidate], timeout: float, strangers: list[Program]
) -> Found | None:
    """Return the first candidate that is what is wanted, else the first of the same kind; None if there is none.

    What turns out to be something else is added to `strangers`. Candidates after the chosen one are not asked.
    """
    second: tuple[Program, Candidate] | None = None
    chosen: tuple[Program, Candidate] | None = None
    for candidate in candidates:
        program = identifyProgram(search.family, candidate.path, timeout)
        if program.kind != search.kind:
            strangers.append(program)
        elif _isWanted(search, program):
            chosen = program, candidate
            break
        else:
            second = second or (program, candidate)
    chosen = chosen or second
    if chosen is None:
        return None
    program, candidate = chosen
    messages = [_explainChoice(search, program.path, candidate.reason, candidates)] if len(candidates) > 1 else []
    if program.version and not _isWanted(search, program):
        messages.append((logging.WARNING, f"no {search.title} was found: {program} is used in its place"))
    return Found(program, tuple(messages))


def _isWanted(search: Search, program: Program) -> bool:
    return program.kind == search.kind and program.version.startswith(search.major)


def _explainChoice(
    search: Search, path: str, reason: str, found: Sequence[Candidate] | Sequence[Program]
) -> tuple[int, str]:
    others = ", ".join(one.path for one in found if one.path != path)
    return logging.INFO, f"{search.title}: {path} is used, {reason}" + (f"; found as well: {others}" if others else "")


def listFolders(search_path: str | None = None) -> list[str]:
    """Return the folders of PATH (or of what is written like it), each once."""
    text = os.environ.get("PATH", os.defpath) if search_path is None else search_path
    return list(dict.fromkeys(os.path.abspath(folder) for folder in text.split(os.pathsep) if folder))


def listCandidates(search: Search, folders: Sequence[str]) -> list[Candidate]:
    """Return the files that may be the program: by plain names, then by those in other letters, then by longer ones.

    Within each the folders keep their order; longer names are sorted by the version in them, the newest first. Two
    names of one file are one candidate.
    """
    files = [(os.path.join(folder, name), name) for folder in folders for name in _listNames(folder)]
    spelled = [(path, name) for path, name in files if judgeName(name) == search.kind]
    found: list[Candidate] = []
    for wanted in search.names:
        found += [Candidate(path, f"the name {wanted} goes first") for path, name in files if name == wanted]
    for wanted in dict.fromkeys(name.lower() for name in search.names):
        reason = f"no file is called {' or '.join(search.names)} in these letters"
        found += [Candidate(path, reason) for path, name in spelled if name.lower() == wanted]
    reason = f"no file is called just {' or '.join(search.names)}, and its version is the newest"
    longer = sorted(spelled, key=lambda one: calcVersionKey(_findDigits(one[1])), reverse=True)
    found += [Candidate(path, reason) for path, _ in longer]
    first: dict[str, Candidate] = {}
    for candidate in found:
        target = os.path.realpath(candidate.path)
        if target not in first and isProgram(candidate.path):
            first[target] = candidate
    return list(first.values())


def _listNames(folder: str) -> Iterator[str]:
    try:
        yield from sorted(os.listdir(folder))
    except OSError:
        return


def _findDigits(name: str) -> str:
    """Return the version in a file's name: the first group of numbers with a point, else nothing."""
    match = re.search(r"\d+(?:\.\d+)+", name)
    return match[0] if match else ""


def isProgram(path: str) -> bool:
    """Whether a path is an executable file, and neither it nor what it links to is called like a script."""
    resolved = os.path.realpath(path)
    scripts = any(NO_PROGRAM.search(Path(one).name) for one in (path, resolved))
    return not scripts and os.path.isfile(resolved) and os.access(resolved, os.X_OK)


def findOwn(name: str, search_path: str | None = None) -> str | None:
    """Return the path of a program of this package: in PATH, or where the commands of this installation are."""
    return shutil.which(name, path=search_path) or shutil.which(name, path=sysconfig.get_path("scripts"))


def constructMissing(search: Search, folders: Sequence[str], strangers: Sequence[Program]) -> ConfigurationFailure:
    """Return the failure that says what was looked for and where, and the line that chooses the CPU program."""
    names = list(search.names)
    if search.substitute:
        names += SEARCHES[search.substitute].names
    unset = "".join(f", and the variable {name} is not set" for name in search.variables)
    others = "".join(f"; {one.path} is {one.label}" for one in strangers)
    reason = (
        f"no {search.title} was found: none of {', '.join(names)}, in any letter case and with a version after it, "
        f"is in {':'.join(folders) or 'PATH, which is empty'}{others}; the setting {search.setting} names none{unset}"
    )
    remedy = f"load its module, or name it with the setting {search.setting}"
    if search.cpu:
        variable = f"DASK_APPION__{search.setting.replace('.', '__').upper()}"
        remedy += f"; to compute on processors with what ships here: export {variable}={search.cpu}"
    return ConfigurationFailure(reason, remedy)
