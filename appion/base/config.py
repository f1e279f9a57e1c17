"""The settings: shipped defaults, a site's files, environment and command line, all in Dask's configuration."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml  # type: ignore[import-untyped]

from appion.base.failures import ConfigurationFailure
from appion.base.settings import files as sitefiles  # before Dask: it imports it whatever the site's files are like

import dask.config  # isort: skip

PREFIX = "DASK_APPION__"

#: Settings whose default is null and that are no numbers otherwise.
NULLABLE: dict[str, type] = {
    "dashboard": str, "motioncorrection.executable": str, "motioncorrection.undo_eer_flip": bool,
    "ctffind.executable": str, "gctf.executable": str, "gctffind.executable": str,
    "alarms.address": str, "runjob.template": str, "runjob.wrapper": str, "web.proxy": str, "web.cache": str,
    "keep.folder": str,
    **dict.fromkeys(("kubernetes.context", "kubernetes.namespace", "kubernetes.image", "kubernetes.service_account",
                     "kubernetes.address"), str),
}  # fmt: skip

#: Settings with tables or lists in somebody else's words, or checked elsewhere, in which anything may stand.
OPEN = frozenset(("alarms.rules", "alarms.receivers", "web.hosts", "web.limits", *(f"kubernetes.{name}" for name in (
    "pull_secrets", "limits", "volumes", "mounts", "node_selector", "tolerations", "env", "pod"
))))  # fmt: skip

#: Settings in which something secret may stand: no text ever shows their value.
SECRET = frozenset(("alarms.receivers",))

#: Sections below `jobqueue` that workers may be jobs of.
JOBQUEUES = ("slurm", "sge", "pbs", "lsf", "htcondor", "oar")

#: What used to be the name of a section. It is understood as ever.
FORMER = {"slurm.": "jobs."}

#: What the command line set: dotted key -> (value, option).
_commandline: dict[str, tuple[Any, str]] = {}


@dataclass(frozen=True)
class Setting:
    """One setting: dotted `key` without the leading ``appion.``, its `value` and its `origin`.

    The origin is ``default``, the path of a file, the name of an environment variable, or the command-line option.
    """

    key: str
    value: Any
    origin: str


def readDefaults() -> dict[str, Any]:
    """The shipped appion.yaml as nested dictionaries."""
    text = resources.files("appion").joinpath("appion.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["appion"]


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{prefix}{str(key).replace('-', '_')}"
        if isinstance(value, Mapping) and value and name not in OPEN:
            yield from _flatten(value, name + ".")
        else:
            yield name, value


DEFAULTS: dict[str, Any] = dict(_flatten(readDefaults()))
dask.config.update_defaults({"appion": readDefaults()})


def setting(key: str) -> Any:
    """The value of one setting, e.g. ``setting('poll')``.

    Raises:
        ConfigurationFailure: unknown key, or a value of the wrong kind, or a broken file of the site.
    """
    if sitefiles.BROKEN is not None:
        raise sitefiles.BROKEN
    if key not in DEFAULTS:
        raise _unknown(key, "the program")
    value = _readValue(key)
    problem = _findProblem(key, value)
    if problem:
        raise ConfigurationFailure(f"setting appion.{key} is {_show(key, value)!r} (from {_findOrigin(key)})", problem)
    return value


def _show(key: str, value: Any) -> Any:
    """A value as it may be shown."""
    return "(not shown)" if key in SECRET and value != DEFAULTS[key] else value


def _readValue(key: str) -> Any:
    """The value of a setting; one under its former name counts where the other is not set."""
    value = dask.config.get(f"appion.{key}")
    old = _nameFormerly(key)
    return dask.config.get(f"appion.{old}", value) if old and value == DEFAULTS[key] else value


def _nameFormerly(key: str) -> str:
    """What a setting used to be called; empty if it has its first name."""
    return next((old + key.removeprefix(new) for old, new in FORMER.items() if key.startswith(new)), "")


def _nameToday(key: str) -> str:
    """What a setting is called that may be given by its former name."""
    return next((new + key.removeprefix(old) for old, new in FORMER.items() if key.startswith(old)), key)


def overrideSettings(values: Mapping[str, Any], option: str = "command line") -> None:
    """Let command-line options win: dotted keys without the leading ``appion.``."""
    for key, value in values.items():
        if key not in DEFAULTS:
            raise _unknown(key, option)
        _commandline[key] = (value, option)
        dask.config.set({f"appion.{key}": value})


def checkSettings() -> None:
    """Raise ConfigurationFailure for an unknown key anywhere, with a suggestion, or for a value of the wrong kind."""
    if sitefiles.BROKEN is not None:
        raise sitefiles.BROKEN
    given = [(key, path) for path, tree in _readFiles() for key in tree]
    given += [(_keyOfVariable(name), f"environment variable {name}") for name in os.environ if name.startswith(PREFIX)]
    for key, origin in given:
        if _nameToday(key) not in DEFAULTS:
            raise _unknown(key, origin)
    where = dict(given)
    for key, origin in where.items():
        if (new := _nameToday(key)) != key and new in where:
            raise ConfigurationFailure(
                f"appion.{key} (from {origin}) and appion.{new} (from {where[new]}) are the same setting",
                f"keep appion.{new}",
            )
    for key in DEFAULTS:
        setting(key)
    _checkSections()


def describeSettings() -> list[Setting]:
    """Every setting in the order of the shipped file; what may be secret is not shown."""
    return [Setting(key, _show(key, _readValue(key)), _findOrigin(key)) for key in DEFAULTS]


def _keyOfVariable(name: str) -> str:
    return name.removeprefix(PREFIX).lower().replace("__", ".").replace("-", "_")


def checkKeys(section: str, known: Iterable[str]) -> None:
    """Check the keys right below a section of somebody else's, such as ``jobqueue.slurm``, wherever they are set.

    Raises:
        ConfigurationFailure: one is not known; with where it is and the nearest that is.
    """
    names = {name.replace("_", "-") for name in known}
    for origin, key in _listKeys(section):
        if key.replace("_", "-") not in names:
            near = difflib.get_close_matches(key.replace("_", "-"), names, n=1)
            hint = f"did you mean {section}.{near[0]}?" if near else f"there are {', '.join(sorted(names))}"
            raise ConfigurationFailure(f"unknown setting {section}.{key} (from {origin})", hint)


def _listKeys(section: str) -> Iterator[tuple[str, str]]:
    """(origin, key) of everything that files and environment variables set right below a section ('': the top)."""
    steps = section.split(".") if section else []
    for tree, path in _collectYaml():
        for step in steps:
            tree = tree.get(step) if isinstance(tree, Mapping) else None
        if isinstance(tree, Mapping):
            yield from ((str(path), str(key)) for key in tree)
        elif tree is not None:
            raise ConfigurationFailure(f"{path}: the value of `{section}` is {tree!r}", "put settings below it")
    for name in os.environ:
        words = name.removeprefix("DASK_").lower().split("__")
        if name.startswith("DASK_") and len(words) > max(1, len(steps)) and words[: len(steps)] == steps:
            yield f"environment variable {name}", words[len(steps)]


def _checkSections() -> None:
    """Raise ConfigurationFailure for a section that nobody reads and whose name is nearly that of one of ours."""
    for section, ours in (("", ("appion", "jobqueue")), ("jobqueue", JOBQUEUES)):
        for origin, key in _listKeys(section):
            word = re.sub(r"[\W_]", "", key.lower())
            near = difflib.get_close_matches(word, ours, n=1, cutoff=0.75)
            if near and key not in ours:
                name = ".".join(filter(None, (section, near[0])))
                raise ConfigurationFailure(f"unknown section {key} (from {origin})", f"did you mean {name}?")


def _readFiles() -> list[tuple[str, dict[str, Any]]]:
    """(path, flattened settings) of each of the site's files with a key `appion`, later ones win."""
    files = []
    for tree, path in _collectYaml():
        own = tree.get("appion") if isinstance(tree, Mapping) else None
        if own is None:
            continue
        if not isinstance(own, Mapping):
            raise ConfigurationFailure(f"{path}: the value of `appion` is {own!r}", "put settings below it, one a line")
        files.append((str(path), dict(_flatten(own))))
    return files


def _collectYaml() -> Iterator[tuple[Any, Any]]:
    for item in dask.config.collect_yaml(dask.config.paths, return_paths=True):
        yield item[1], item[0]


def _findOrigin(key: str) -> str:
    if key in _commandline:
        return _commandline[key][1]
    names = {key, _nameFormerly(key)}
    for name in os.environ:
        if name.startswith(PREFIX) and _keyOfVariable(name) in names:
            return f"environment variable {name}"
    for path, tree in reversed(_readFiles()):
        if names & tree.keys():
            return path
    return "default" if _readValue(key) == DEFAULTS[key] else "set by the program"


def _unknown(key: str, origin: str) -> ConfigurationFailure:
    near = difflib.get_close_matches(key, DEFAULTS, n=1)
    hint = f"did you mean appion.{near[0]}?" if near else "--print-config lists all settings"
    return ConfigurationFailure(f"unknown setting appion.{key} (from {origin})", hint)


def _findProblem(key: str, value: Any) -> str:
    """What is wrong with a value, judged by the kind of its default; empty if nothing is."""
    default = DEFAULTS[key]
    if default is None and value is None:
        return ""
    if key in OPEN:
        what = "table, NAME: VALUE" if isinstance(default, dict) else "list"
        return "" if isinstance(value, type(default)) else f"write a {what}"
    kind = NULLABLE.get(key, float) if default is None else type(default)
    null = ", or null" if default is None else ""
    if kind is bool:
        return "" if isinstance(value, bool) else f"write true or false{null}"
    if kind is str:
        return "" if isinstance(value, str) else f"write text{null}"
    if kind is list:
        return "" if _isIdList(value) else "write a list of different whole numbers, for example [0, 1]"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        return f"write a number that is not negative{null}"
    return "a share lies between 0 and 1" if key.endswith("_share") and value > 1 else ""


def _isIdList(value: Any) -> bool:
    """Whether a value is a list of different whole numbers, none negative, and not empty."""
    if not isinstance(value, (list, tuple)) or not value or len(set(map(repr, value))) < len(value):
        return False
    return all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in value)
