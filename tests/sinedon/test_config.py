"""sinedon.cfg: where it is looked for, which value wins, what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import sinedon
from sinedon import config
from sinedon.connection import constructDatabase
from sinedon.errors import ConfigurationError, ConnectionFailure


@pytest.fixture
def places(tmp_path, monkeypatch) -> list[Path]:
    """The four folders in which the file is looked for, lowest precedence first."""
    folders = [tmp_path / name for name in ("etc", "package", "home", "own")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(config, "SYSTEM_FOLDER", folders[0])
    monkeypatch.setattr(config, "PACKAGE_FOLDER", folders[1])
    monkeypatch.setenv("HOME", str(folders[2]))
    monkeypatch.setenv("SINEDON_CFG_PATH", str(folders[3]))
    return folders


SECTIONS = "\n[leginondata]\ndb: leginondb\n[projectdata]\ndb = projectdb\n"


def testLaterFilesWinValueByValue(places):
    for number, folder in enumerate(places):
        keys = ["host", "user", "passwd", "port"][number:]
        (folder / "sinedon.cfg").write_text("[global]\n" + "".join(f"{key}: {number}\n" for key in keys) + SECTIONS)
    section = config.readConfig()["leginondata"]
    assert section.options == {"host": "0", "user": "1", "passwd": "2", "port": 3}


def testSectionsOverrideGlobalAndMayUseOtherServers(places):
    (places[3] / "sinedon.cfg").write_text(
        "[global]\nhost=db1\nuser: usr\npasswd: 100%%safe\nport: 3307\nengine: InnoDB\nconnect_timeout: 5\n"
        "[leginondata]\ndb: leginondb\n[projectdata]\ndb: projectdb\nhost: db2\nuser: other\npasswd: 7\n"
        "[appiondata]\nunix_socket: /run/s\ncompress: yes\n[Windows Drives]\nz: /data\n"
    )
    sections = config.readConfig()
    leginon = constructDatabase(sections["leginondata"], "leginondb")
    project = constructDatabase(sections["projectdata"], "projectdb")
    appion = constructDatabase(sections["appiondata"], "ap5")
    assert (leginon["HOST"], leginon["USER"], leginon["PASSWORD"], leginon["PORT"]) == ("db1", "usr", "100%safe", 3307)
    assert (project["HOST"], project["USER"], project["PASSWORD"]) == ("db2", "other", "7")
    assert sections["appiondata"].db == ""
    assert sections["appiondata"].table_engine == "InnoDB"
    assert appion["OPTIONS"]["unix_socket"] == "/run/s"
    assert appion["OPTIONS"]["compress"] is True
    assert leginon["OPTIONS"]["connect_timeout"] == 5


def testUnknownDriverKeywordWarns(places, caplog):
    (places[3] / "sinedon.cfg").write_text("[global]\nhost: a\ncolour: red\n" + SECTIONS)
    database = constructDatabase(config.readConfig()["leginondata"], "leginondb")
    assert "colour" not in database["OPTIONS"]
    assert "'colour' is no keyword" in caplog.text


def testSQLiteNeedsOnlyAFolder(places):
    (places[2] / "sinedon.cfg").write_text("[global]\nengine: SQLite\ndir: ~/databases\n")
    sections = config.readConfig()
    assert (sections["leginondata"].engine, sections["leginondata"].db) == ("sqlite", "leginondb")
    database = constructDatabase(sections["leginondata"], "leginondb")
    assert database["NAME"] == str(places[2] / "databases" / "leginondb.sqlite3")


def testMissingFileNamesWhereItWasLookedFor(places):
    with pytest.raises(ConfigurationError) as error:
        sinedon.setup(1)
    for folder in places:
        assert str(folder / "sinedon.cfg") in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[global]\nengine: sqlite\n", "'dir: ' must be the full path"),
        ("[global]\nengine: sqlite\ndir: here\n", "'dir: here' must be the full path"),
        ("[global]\nhost: a\n", r"\[leginondata\] .* names no database"),
        ("[global]\npasswd: 50%off\n" + SECTIONS, "must be written %%"),
        ("host: a\n", "cannot be read"),
        ("[appiondata]\nengine: sqlite\ndir: /data\n" + SECTIONS, "must be said of all three"),
    ],
)
def testWrongFilesAreExplained(places, text, message):
    (places[3] / "sinedon.cfg").write_text(text)
    with pytest.raises(ConfigurationError, match=message) as error:
        sinedon.setup()
    assert str(places[3] / "sinedon.cfg") in str(error.value)


def testMissingSQLiteDatabaseSaysHowToCreateIt(places):
    (places[3] / "sinedon.cfg").write_text(f"[global]\nengine: sqlite\ndir: {places[3]}\n")
    with pytest.raises(ConnectionFailure, match="does not exist; create it with: sinedon init"):
        sinedon.setup(1)
    assert not list(places[3].glob("*.sqlite3"))


def testServerThatIsNotThere(places):
    (places[3] / "sinedon.cfg").write_text("[global]\nhost: 127.0.0.1\nport: 1\nuser: me\n" + SECTIONS)
    with pytest.raises(ConnectionFailure, match=r"'leginondb' on 127.0.0.1:1 as user 'me'") as error:
        sinedon.setup(1)
    assert sinedon.isDatabaseAway(error.value)


@pytest.mark.usefixtures("anydatabase")
def testUnknownProjectListsWhatExists():
    sinedon.setup(1)
    with pytest.raises(ConfigurationError, match=r"project 99 has no Appion database; .*: 1 \(ap1\)"):
        sinedon.setup(99)
