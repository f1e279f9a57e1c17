"""A command whose database refuses: what is said before anything is written, and what works all the same."""

from __future__ import annotations

import sqlite3

import pytest

import sinedon
from appion.motioncorrection.cli.main import main
from sinedon.models import appiondata
from tests.motioncorrection import test_main
from tests.motioncorrection.test_main import constructArguments

session = test_main.session
ACCOUNT = "'limited'@'127.0.0.1'"
on_mariadb = pytest.mark.parametrize("anydatabase", ["mariadb"], indirect=True)
on_sqlite = pytest.mark.parametrize("anydatabase", ["sqlite"], indirect=True)


@pytest.fixture
def start(session, tmp_path, capsys):
    """A function that calls the command and returns its exit code, what it printed, and its lines of errors."""

    def call(*more):
        capsys.readouterr()
        code = main(constructArguments(session, tmp_path, *more))
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out.splitlines(), [line for line in told.err.splitlines() if line.startswith("error")]

    return call


@on_mariadb
def test_aUserWhoMayOnlyRead(start, limited, tmp_path, capsys):
    limited.grant("SELECT ON *.*")
    code, printed, errors = start()
    assert (code, printed) == (2, [])
    assert errors == [
        "error: results cannot be stored: "
        f"user {ACCOUNT} has no right to INSERT on table ap1.ApPathData; "
        f"type: GRANT INSERT, UPDATE ON ap1.* TO {ACCOUNT}; "
        f"user {ACCOUNT} has no right to INSERT on table leginondb.CameraEMData; "
        f"type: GRANT INSERT ON leginondb.* TO {ACCOUNT} (and 17 more of the kind)"
    ]
    assert not (tmp_path / "appion").exists()
    code, printed, errors = start("--dry-run")
    assert (code, len(printed), errors) == (0, 3, [])
    code, _, errors = start("--no-commit", "--limit=1")
    assert (code, errors) == (0, []), capsys.readouterr().err
    rundir = next((tmp_path / "appion").glob("*/ddstack/ddstack1"))
    assert len(list((rundir / ".appion" / "journal").glob("*.json"))) == 1
    sinedon.setup(1)
    assert appiondata.ApPathData.objects.count() == 0


@on_mariadb
def test_aColumnOfTheSiteThatNobodyFills(start, mariadb, tmp_path):
    mariadb.execute("ALTER TABLE ap1.ApDDAlignImagePairData ADD site_col INT NOT NULL")
    code, _, errors = start()
    assert (code, len(errors)) == (2, 1)
    assert errors[0].endswith(
        "column site_col of table ap1.ApDDAlignImagePairData has to be filled and has no default; "
        "type: ALTER TABLE ap1.ApDDAlignImagePairData MODIFY site_col int(11) NULL"
    )
    assert not (tmp_path / "appion").exists()
    mariadb.execute("ALTER TABLE ap1.ApDDAlignImagePairData DROP COLUMN site_col")


@on_sqlite
def test_aDatabaseThatWasNeverInitialised(start, anydatabase, tmp_path):
    sinedon.closeConnections()
    for file in anydatabase.folder.glob("ap1.sqlite3*"):
        file.unlink()
    sqlite3.connect(anydatabase.folder / "ap1.sqlite3").close()
    words = "there is no table ap1.ApPathData; run: sinedon init --appiondb ap1 (and 12 more of the kind)"
    assert start("--dry-run") == (2, [], [f"error: results could not be stored: {words}"])
    assert start() == (2, [], [f"error: results cannot be stored: {words}"])
    assert not (tmp_path / "appion").exists()
