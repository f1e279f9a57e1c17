"""Dask's configuration, imported so that a broken file of the site is an error with file and line, not a traceback.

Dask reads the files of its folders while it is imported, and cannot be imported when one of them is broken. Then it is
imported without any of them, which is enough for looking at a run; whoever asks for a setting is told.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import mock

import yaml  # type: ignore[import-untyped]

from appion.base.failures import ConfigurationFailure


def listFolders() -> list[str]:
    """The folders and files that Dask reads, by its own rules."""
    folders = [
        os.environ.get("DASK_ROOT_CONFIG", "/etc/dask"),
        *(os.path.join(prefix, "etc", "dask") for prefix in (sys.prefix, *site.PREFIXES)),
        os.path.join(os.path.expanduser("~"), ".config", "dask"),
    ]
    return [*folders, os.environ["DASK_CONFIG"]] if "DASK_CONFIG" in os.environ else folders


def listFiles(folders: Iterable[str]) -> Iterator[Path]:
    """The files in them that Dask reads; what may not be read is left out, as Dask does."""
    for folder in map(Path, folders):
        try:
            inside = sorted(folder.iterdir()) if folder.is_dir() else [folder] if folder.exists() else []
        except OSError:
            continue
        yield from (path for path in inside if path == folder or path.suffix.lower() in (".json", ".yaml", ".yml"))


def checkFiles(folders: Iterable[str]) -> None:
    """Raise ConfigurationFailure for the first file that is broken, with the line."""
    for path in listFiles(folders):
        try:
            tree = yaml.safe_load(path.read_text())
        except OSError:
            continue
        except (yaml.YAMLError, ValueError) as error:
            raise constructFailure(path, error) from None
        if tree is not None and not isinstance(tree, dict):
            raise ConfigurationFailure(
                f"{path}, line 1: this is {type(tree).__name__}, not settings",
                "write `name: value` on each line, or move the file out of Dask's configuration folder",
            )


def constructFailure(path: Path, error: Exception) -> ConfigurationFailure:
    """What is wrong with a file, in one line."""
    mark = getattr(error, "problem_mark", None)
    where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else f"{path}, line 1"
    if isinstance(error, UnicodeDecodeError):
        where = f"{path}, line {1 + error.object[: error.start].count(10)}"
    elif isinstance(error, yaml.reader.ReaderError):
        where = f"{path}, line {1 + path.read_text(errors='replace')[: error.position].count(chr(10))}"
    problem = " ".join(part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    return ConfigurationFailure(
        f"{where}: no valid YAML: {problem or ' '.join(str(error).split())}",
        "correct the file, or move it out of Dask's configuration folder",
    )


def importDask() -> ConfigurationFailure | None:
    """Import Dask's configuration; returns what is wrong with the site's files, none of which is in it then."""
    if "dask.config" in sys.modules:
        return None
    folders = listFolders()
    try:
        checkFiles(folders)
    except ConfigurationFailure as failure:
        exists = os.path.exists
        with mock.patch("os.path.exists", lambda path: path not in folders and exists(path)):
            import dask.config
        return failure
    import dask.config  # noqa: F401

    return None


#: What is wrong with the site's files; None: nothing.
BROKEN = importDask()
