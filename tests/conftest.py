"""Fixtures of all rooms: databases to work in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import sinedon
from appion.base.programs.identify import askProgram
from sinedon import config
from sinedon.connection import constructDatabase, registerDatabases
from sinedon.create import createDatabases
from sinedon.live import readLiveTables
from sinedon.models import projectdata
from sinedon.schema import createMissing
from tests.services import gridengine as gridengines
from tests.services.gridengine import GridEngine, findGridEngine
from tests.services.mariadb import Limited, MariaDB, findMariaDB
from tests.services.slurm import INSTALL, Slurm, findSlurm

#: What takes long: it drives whole daemons, schedulers, a browser.
LONG = ("tests/faults/", "tests/base/workers/", "tests/runjob/", "tests/webpages/", "tests/demo/", "tests/test_docs.py",
        "tests/web/browser/", "tests/export/", "tests/examples/")  # fmt: skip

# The same examples each time and no deadline; --hypothesis-profile=default looks for other ones.
settings.load_profile("ci")

#: Whose tests share a session that takes long to make: they run in one process.
SHARING = "tests/webpages/"


@dataclass(frozen=True)
class TestDatabase:
    """Databases that are set up with a project. `folder` holds `sinedon.cfg`; `engine`: sqlite, mariadb or classic."""

    __test__ = False

    engine: str
    folder: Path
    projectid: int = 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """What a test printed goes from one process to another when several run tests: as text, whatever bytes it was."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no process is left with them at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests, those of a file are run by one of them."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return SHARING if nodeid.startswith(SHARING) else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(TellFailures(config))


class TellFailures:
    """Tell a failure as it happens, since a run that is cut off has no summary."""

    def __init__(self, config: pytest.Config):
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            terminal = self.config.pluginmanager.get_plugin("terminalreporter")
            terminal.write_line(f"\n{report.nodeid} failed ({report.when}):\n{report.longreprtext[-3000:]}")


@pytest.fixture(autouse=True)
def _isolatedConfig(monkeypatch, tmp_path_factory) -> None:
    """No test reads the machine's own sinedon.cfg."""
    empty = tmp_path_factory.getbasetemp()
    monkeypatch.setattr(config, "SYSTEM_FOLDER", empty / "etc-myami")
    monkeypatch.setattr(config, "PACKAGE_FOLDER", empty / "package")


@pytest.fixture(autouse=True)
def _askedAgain() -> None:
    """Programs are asked for their version anew: what a stand-in says may depend on the environment."""
    askProgram.cache_clear()


@pytest.fixture
def sqlitedatabase(tmp_path, monkeypatch) -> Iterator[TestDatabase]:
    """Empty SQLite databases with project 1."""
    folder = _writeConfig(tmp_path, monkeypatch, f"[global]\nengine: sqlite\ndir: {tmp_path / 'sinedon'}\n")
    createDatabases(1)
    yield TestDatabase("sqlite", folder)
    registerDatabases({})


@pytest.fixture
def database(sqlitedatabase) -> TestDatabase:
    """The database for tests that need only one kind."""
    return sqlitedatabase


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory) -> Iterator[MariaDB]:
    """A MariaDB server of our own. Where MariaDB is not installed tests are skipped, but they fail where CI is set."""
    if findMariaDB() is None:
        _skipUnlessCI("MariaDB is not installed: apt-get install --no-install-recommends mariadb-server")
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A Slurm of our own with four nodes. Where it is missing, tests are skipped, but they fail where CI is set."""
    if not findSlurm():
        _skipUnlessCI(f"Slurm is not installed: {INSTALL}")
    service = Slurm().start()
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture
def slurmcluster(slurm, monkeypatch) -> Iterator[Slurm]:
    """The same for one test whose process talks to it: all nodes idle and no job at its start, no job after it."""
    slurm.heal()
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    yield slurm
    slurm.heal()


@pytest.fixture(scope="session")
def gridengine() -> Iterator[GridEngine]:
    """A Grid Engine of our own. Where it is missing, tests are skipped, but they fail where CI is set."""
    if not findGridEngine():
        _skipUnlessCI(f"Grid Engine is not installed: {gridengines.INSTALL}")
    service = GridEngine().start()
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture
def gridenginecluster(gridengine, monkeypatch) -> Iterator[GridEngine]:
    """The same for one test whose process talks to it: no job at its start and after it."""
    gridengine.heal()
    for name in ("PATH", *(name for name in gridengine.environment if name.startswith("SGE_"))):
        monkeypatch.setenv(name, gridengine.environment[name])
    yield gridengine
    gridengine.heal()


@pytest.fixture
def mariadatabase(mariadb, tmp_path, monkeypatch) -> Iterator[TestDatabase]:
    """MyISAM databases with every table and column of the models, and project 1."""
    folder = _writeConfig(tmp_path, monkeypatch, mariadb.constructConfig())
    sections = config.readConfig()
    names = {"leginondata": "leginondb", "projectdata": "projectdb", "appiondata": "ap1"}
    databases = {alias: constructDatabase(sections[alias], name) for alias, name in names.items()}
    if not mariadb.emptyTables():
        mariadb.dropDatabases()
        registerDatabases(databases)
        for alias in names:
            createMissing(alias)
        mariadb.rememberTables()
    registerDatabases(databases)
    readLiveTables("projectdata")
    sinedon.insertRow(projectdata.projects, def_id=1, name="project 1", hidden=False)
    sinedon.insertRow(projectdata.processingdb, project=1, appiondb="ap1")
    sinedon.setup(1)
    yield TestDatabase("mariadb", folder)
    registerDatabases({})


@pytest.fixture
def limited(mariadatabase, mariadb) -> Iterator[Limited]:
    """The databases of `mariadatabase` as another user, who has no rights yet."""
    user = Limited(mariadb)
    (mariadatabase.folder / "sinedon.cfg").write_text(user.constructConfig())
    sections = config.readConfig()
    names = {"leginondata": "leginondb", "projectdata": "projectdb", "appiondata": "ap1"}
    registerDatabases({alias: constructDatabase(sections[alias], name) for alias, name in names.items()})
    yield user
    registerDatabases({})
    user.drop()


@pytest.fixture
def classicdatabase(mariadb, tmp_path, monkeypatch) -> Iterator[TestDatabase]:
    """A classic installation of 2016 on MyISAM with projects 1 and 2, its Appion database completed by init."""
    mariadb.loadClassicSchema()
    folder = _writeConfig(tmp_path, monkeypatch, mariadb.constructConfig())
    createDatabases(1)
    sinedon.setup(1)
    yield TestDatabase("classic", folder)
    registerDatabases({})


@pytest.fixture(params=["sqlite", "mariadb"])
def anydatabase(request) -> TestDatabase:
    """The test runs twice: on SQLite and on MariaDB."""
    return request.getfixturevalue(f"{'sqlite' if request.param == 'sqlite' else 'maria'}database")


def _skipUnlessCI(message: str) -> None:
    """Skip the test for want of a service; fail where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _writeConfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    """Write `sinedon.cfg` into a folder that SINEDON_CFG_PATH then names."""
    folder = tmp_path / "sinedon"
    folder.mkdir(exist_ok=True)
    (folder / "sinedon.cfg").write_text(text)
    monkeypatch.setenv("SINEDON_CFG_PATH", os.fspath(folder))
    return folder
