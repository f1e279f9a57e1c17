"""Fixtures of all rooms: databases to work in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import sinedon
from sinedon import config
from sinedon.connection import registerDatabases
from sinedon.create import createDatabases


@dataclass(frozen=True)
class TestDatabase:
    """Databases that are set up with project 1. `folder` holds `sinedon.cfg`; `engine` is sqlite or mariadb."""

    __test__ = False

    engine: str
    folder: Path
    projectid: int = 1


@pytest.fixture(autouse=True)
def _isolatedConfig(monkeypatch, tmp_path_factory) -> None:
    """No test reads the machine's own sinedon.cfg."""
    empty = tmp_path_factory.getbasetemp()
    monkeypatch.setattr(config, "SYSTEM_FOLDER", empty / "etc-myami")
    monkeypatch.setattr(config, "PACKAGE_FOLDER", empty / "package")


@pytest.fixture
def sqlitedatabase(tmp_path, monkeypatch) -> Iterator[TestDatabase]:
    """Empty SQLite databases with project 1."""
    folder = tmp_path / "sinedon"
    folder.mkdir()
    (folder / "sinedon.cfg").write_text(f"[global]\nengine: sqlite\ndir: {folder}\n")
    monkeypatch.setenv("SINEDON_CFG_PATH", os.fspath(folder))
    createDatabases(1)
    yield TestDatabase("sqlite", folder)
    registerDatabases({})


@pytest.fixture
def database(sqlitedatabase) -> TestDatabase:
    """The database for tests that need only one kind."""
    sinedon.setup(1)
    return sqlitedatabase
