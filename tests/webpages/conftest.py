"""The session that all tests of this folder look at, once for each schema."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sinedon import config
from tests.services.mariadb import MariaDB
from tests.webpages.filled import Filled, fillSession


@pytest.fixture(scope="session", params=["init", "2016"])
def filled(request: pytest.FixtureRequest, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """A processed session. Tests leave rows and files of it as they find them."""
    folder = tmp_path_factory.mktemp(f"webpages-{request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "SYSTEM_FOLDER", folder / "etc-myami")
        patch.setattr(config, "PACKAGE_FOLDER", folder / "package")
        patch.setenv("SINEDON_CFG_PATH", os.fspath(folder / "session"))
        return fillSession(folder, request.param, mariadb)


@pytest.fixture
def _rowsRemoved(filled: Filled) -> Iterator[None]:
    """Rows that a test adds to the Appion database are removed after it."""
    names = [row["name"] for row in filled.read(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()")]  # fmt: skip
    last = {name: filled.readOne(f"SELECT max(DEF_id) AS id FROM `{name}`")["id"] or 0 for name in names}
    yield
    for name in names:
        filled.read(f"DELETE FROM `{name}` WHERE DEF_id > %s", last[name])
