"""Reads `sinedon.cfg` where and as classic reads it.

Files of that name are read from `/etc/myami`, this package's folder, the home folder and the folder that the
environment variable SINEDON_CFG_PATH names, in this order; later values win. ``[global]`` holds defaults,
``[leginondata]``, ``[projectdata]`` and ``[appiondata]`` override them and name their database with ``db``.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sinedon.errors import ConfigurationError

SYSTEM_FOLDER = Path("/etc/myami")
PACKAGE_FOLDER = Path(__file__).resolve().parent

#: Names of SQLite databases when the configuration gives none.
SQLITE_NAMES = {"leginondata": "leginondb", "projectdata": "projectdb"}


@dataclass(frozen=True)
class Section:
    """What the configuration says about one database.

    Attributes:
        name: leginondata, projectdata or appiondata.
        engine: ``mysql`` or ``sqlite``.
        db: name of the database; empty for appiondata.
        folder: where SQLite databases are, or None.
        table_engine: engine of MySQL tables that are created.
        options: everything else, as keywords of the database driver.
    """

    name: str
    engine: str
    db: str
    folder: Path | None = None
    table_engine: str = "MyISAM"
    options: dict[str, Any] = field(default_factory=dict)


def listConfigPaths() -> list[Path]:
    """Return the places where `sinedon.cfg` is looked for, in the order in which they are read."""
    folders = [SYSTEM_FOLDER, PACKAGE_FOLDER, Path.home()]
    if os.environ.get("SINEDON_CFG_PATH"):
        folders.append(Path(os.environ["SINEDON_CFG_PATH"]))
    return [folder / "sinedon.cfg" for folder in folders]


def readConfig() -> dict[str, Section]:
    """Return the sections of the three databases.

    Raises:
        ConfigurationError: no file was found, one cannot be read, or it does not say what is needed.
    """
    places = listConfigPaths()
    found = [path for path in places if path.exists()]
    if not found:
        raise ConfigurationError(
            f"no sinedon.cfg found; looked at {', '.join(map(str, places))}. "
            "Write one, or set SINEDON_CFG_PATH to its folder"
        )
    parser = configparser.ConfigParser()
    for path in found:
        try:
            parser.read_string(path.read_text(), source=str(path))
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read: {_describeError(error)}") from None
    where = ", ".join(map(str, found))
    sections = {name: _constructSection(parser, name, where) for name in ("leginondata", "projectdata", "appiondata")}
    if len({section.engine for section in sections.values()}) > 1:
        raise ConfigurationError(f"{where}: 'engine: sqlite' must be said of all three databases (in [global]) or none")
    return sections


def _describeError(error: Exception) -> str:
    """What is wrong with a file, without a word of what is in it: that may be a password.

    For the same reason the exception itself is not handed on: a traceback would show what it says.
    """
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno} stands before the first [section]"
    if isinstance(error, configparser.ParsingError):
        lines = ", ".join(str(number) for number, _ in error.errors)
        return f"line {lines} is neither 'key: value' nor [section]"
    if isinstance(error, configparser.DuplicateSectionError | configparser.DuplicateOptionError):
        return f"line {error.lineno} says again what another line of [{error.section}] says"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    return str(error.strerror) if isinstance(error, OSError) else type(error).__name__


def _constructSection(parser: configparser.ConfigParser, name: str, where: str) -> Section:
    """Return section `name` over the defaults of ``[global]``."""
    values: dict[str, str] = {}
    for section in ("global", name):
        if not parser.has_section(section):
            continue
        try:
            values.update(parser.items(section))
        except configparser.InterpolationError as error:
            what = f"[{section}] in {where}: the value of '{error.option}' has a % of its own"
            raise ConfigurationError(f"{what}; a % in a value must be written %%") from None
    engine, db = values.pop("engine", ""), values.pop("db", "")
    if engine.lower() == "sqlite":
        return Section(name, "sqlite", db or SQLITE_NAMES.get(name, ""), _readFolder(values, name, where))
    if not db and name != "appiondata":
        raise ConfigurationError(f"[{name}] in {where} names no database; add a line 'db: <name of the database>'")
    values.pop("dir", None)
    options = {key: _parseValue(value) for key, value in values.items() if value != ""}
    for key in ("user", "passwd", "password", "host"):
        if key in options:
            options[key] = values[key]
    return Section(name, "mysql", db, table_engine=engine or "MyISAM", options=options)


def _readFolder(values: dict[str, str], name: str, where: str) -> Path:
    """Return the folder of SQLite databases."""
    text = values.get("dir", "")
    folder = Path(os.path.expandvars(text)).expanduser()
    if not text or not folder.is_absolute():
        raise ConfigurationError(
            f"[{name}] in {where}: 'dir: {text}' must be the full path of a folder (engine is sqlite)"
        )
    return folder


def _parseValue(text: str) -> Any:
    """Return a driver's keyword value: a number or truth value where the text is one."""
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
