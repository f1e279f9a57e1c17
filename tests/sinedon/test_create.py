"""The commands init and check."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys

import pytest

import sinedon
from sinedon.__main__ import main
from sinedon.models import appiondata, projectdata


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A function that writes sinedon.cfg."""
    monkeypatch.setenv("SINEDON_CFG_PATH", str(tmp_path))
    return (tmp_path / "sinedon.cfg").write_text


def testSQLiteFromNothing(config, tmp_path, capsys):
    config(f"[global]\nengine: sqlite\ndir: {tmp_path / 'new'}\n")
    assert main(["check"]) == 2
    assert main(["init", "--project", "7", "--appiondb", "ap_seven"]) == 0
    assert sorted(path.name for path in (tmp_path / "new").glob("*.sqlite3")) == [
        "ap_seven.sqlite3", "leginondb.sqlite3", "projectdb.sqlite3",
    ]  # fmt: skip
    capsys.readouterr()
    assert main(["check", "--project", "7"]) == 0
    assert capsys.readouterr().out.count(": complete") == 3
    sinedon.setup(7)
    assert projectdata.projects.objects.get().def_id == 7
    sinedon.insertRow(appiondata.ApPathData, path="/kept")
    assert main(["init", "--project", "7"]) == 0
    assert capsys.readouterr().out == "nothing was missing\n"
    assert main(["init", "--project", "8"]) == 0
    sinedon.setup(7)
    assert appiondata.ApPathData.objects.get().path == "/kept"
    assert sorted(projectdata.processingdb.objects.values_list("project", "appiondb")) == [(7, "ap_seven"), (8, "ap8")]


def testSQLiteColumnsAreAdded(config, tmp_path, capsys):
    config(f"[global]\nengine: sqlite\ndir: {tmp_path}\n")
    main(["init", "--project", "3", "--appiondb", "ap1"])
    with sqlite3.connect(tmp_path / "ap1.sqlite3") as database:
        database.execute("DROP INDEX \"ApDDStackRunData|REF|ApPathData|path\"")
        database.execute('ALTER TABLE ApDDStackRunData DROP COLUMN "REF|ApPathData|path"')
        database.execute("DROP TABLE ApCtfData")
    database.close()
    capsys.readouterr()
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "missing: table ApCtfData\n" in out
    assert "missing: column REF|ApPathData|path of table ApDDStackRunData\n" in out
    assert "sinedon init" in out
    assert main(["init", "--appiondb", "ap1"]) == 0
    assert main(["check"]) == 0


def testClassicAppionDatabaseIsCompletedAndNothingElseTouched(config, mariadb, capsys):
    config(mariadb.constructConfig())
    mariadb.loadClassicSchema()
    mariadb.execute("INSERT INTO ap1.ApDDStackParamsData (preset) VALUES ('enn')")
    before = readDefinitions(mariadb, "leginondb") | readDefinitions(mariadb, "projectdb")
    appion = readDefinitions(mariadb, "ap1")
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "missing: table NormImageData" in out
    assert "missing: columns align, bin, REF|ApStackData|stack" in out
    assert main(["init", "--project", "1"]) == 0
    assert readDefinitions(mariadb, "leginondb") | readDefinitions(mariadb, "projectdb") == before
    now = readDefinitions(mariadb, "ap1")
    for table, definition in appion.items():
        assert set(definition) <= set(now[table])
    text = "\n".join(now["ApDDAlignStatsData"])
    assert "`apix` double DEFAULT NULL" in text
    assert "`REF|ApDDFrameTrajectoryData|trajectory` int(20) DEFAULT NULL" in text
    assert "KEY `REF|ApDDFrameTrajectoryData|trajectory` (`REF|ApDDFrameTrajectoryData|trajectory`)" in text
    assert "`DEF_id` int(16) NOT NULL AUTO_INCREMENT" in text
    assert "`DEF_timestamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()" in text
    assert "ENGINE=MyISAM" in text
    text = "\n".join(now["ApDDStackParamsData"])
    assert "`align` tinyint(1) DEFAULT 0" in text
    assert "KEY `align` (`align`)" in text
    assert mariadb.execute("SELECT preset, align FROM ap1.ApDDStackParamsData") == [("enn", 0)]
    capsys.readouterr()
    assert main(["init", "--project", "1"]) == 0
    assert capsys.readouterr().out == "nothing was missing\n"
    assert readDefinitions(mariadb, "ap1") == now
    assert main(["check"]) == 0, "what Leginon adds when it needs it is a note"
    out = capsys.readouterr().out
    assert "leginondb: complete for a run; note: what is missing reads as empty, and Leginon adds it" in out
    assert "missing: table NormImageData" in out
    assert "ap1: complete\n" in out
    mariadb.execute("DROP TABLE ap1.ApGCtfFindParamsData")
    assert main(["check"]) == 0
    assert "ap1: complete for a run; note: only gctffind.py needs it:\n  missing: table" in capsys.readouterr().out
    mariadb.execute("DROP TABLE leginondb.SessionData")
    assert main(["check"]) == 1
    assert "leginondb is not complete; correct 'db' of [leginondata]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "columns",
    [
        "ApCtfData: snr noise1 noise2 noise3 noise4 envelope1 envelope2 envelope3 envelope4 lowercutoff uppercutoff "
        "graph3 graph4 resolution_80_percent resolution_50_percent ctffind4_resolution confidence_30_10 localplot",
        "ApDDStackParamsData: preset align bin REF|ApStackData|stack REF|ApDDStackRunData|unaligned_ddstackrun method "
        "REF|ApDEAlignerParamsData|de_aligner",
        "ApAceRunData: REF|ApCtfFind4ParamsData|ctffind4_params",
    ],
)
def testColumnsThatWebPagesSelect(classicdatabase, mariadb, columns):
    assert classicdatabase.projectid == 1
    table, names = columns.split(": ")
    mariadb.execute("SELECT " + ", ".join(f"`{name}`" for name in names.split()) + f" FROM ap1.{table}")


def testNewAppionDatabaseOnMySQL(config, mariadb, capsys):
    config(mariadb.constructConfig().replace("[global]", "[global]\nengine: InnoDB"))
    mariadb.loadClassicSchema()
    assert main(["init"]) == 2
    assert "Give --project N or --appiondb NAME" in capsys.readouterr().err
    assert main(["init", "--project", "2"]) == 2
    assert "project 2 has no Appion database; projects that have one: 1 (ap1)" in capsys.readouterr().err
    assert main(["init", "--project", "1", "--appiondb", "ap2"]) == 2
    assert "the Appion database of project 1 is ap1" in capsys.readouterr().err
    assert main(["init", "--appiondb", "a;b"]) == 2
    assert "'a;b' is no name of a database" in capsys.readouterr().err
    assert main(["init", "--project", "2", "--appiondb", "ap2"]) == 0
    assert "Appion database of project 2 is ap2" in capsys.readouterr().out
    assert "ENGINE=InnoDB" in "\n".join(readDefinitions(mariadb, "ap2")["ApCtfData"])
    assert main(["init", "--project", "2", "--appiondb", "ap2"]) == 0
    assert mariadb.execute("SELECT COUNT(*) FROM projectdb.processingdb") == [(2,)]
    sinedon.setup(2)
    assert sinedon.insertRow(appiondata.ApPathData, path="/x").def_id == 1


def testCommandsRunAsAModule(config):
    config("[global]\nhost: 127.0.0.1\nport: 1\n[leginondata]\ndb: leginondb\n[projectdata]\ndb: projectdb\n")
    command = [sys.executable, "-m", "sinedon", "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2
    assert "cannot open database 'leginondb' on 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def readDefinitions(mariadb, database: str) -> dict[str, list[str]]:
    """Return the lines of the definitions of a database's tables, without commas and counters."""
    definitions = {}
    for (table,) in mariadb.execute(f"SHOW TABLES FROM `{database}`"):
        text = mariadb.execute(f"SHOW CREATE TABLE `{database}`.`{table}`")[0][1]
        text = re.sub(r" AUTO_INCREMENT=\d+", "", text)
        definitions[table] = [line.strip().rstrip(",") for line in text.splitlines()]
    return definitions
