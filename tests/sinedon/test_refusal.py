"""Whose fault it is that a database refuses, and what to type: of each kind, on both kinds of servers."""

from __future__ import annotations

import pytest
from django.db import connections
from django.db.utils import Error as DjangoDatabaseError

import sinedon
from sinedon.__main__ import main
from sinedon.live import rereadLiveTables
from sinedon.models import appiondata, leginondata, projectdata
from sinedon.refusal import ACCOUNT, RIGHT, SCHEMA, VALUE
from sinedon.rights import describeRefusals, findRefusals


def refuse(call, *arguments, **fields):
    with pytest.raises((DjangoDatabaseError, sinedon.errors.SchemaError)) as error:
        call(*arguments, **fields)
    assert not sinedon.isDatabaseAway(error.value)
    return sinedon.findRefusal(error.value)


def ask(sql, *values, alias="appiondata"):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, values)


def insertPath(path="/a"):
    return sinedon.insertRow(appiondata.ApPathData, path=path)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("statement", "kind", "words"), [
    ("INSERT INTO `ApNothing` (`a`) VALUES (1)", SCHEMA,
     "there is no table ap1.ApNothing; run: sinedon init --appiondb ap1"),
    ("SELECT `nothing` FROM `ApPathData`", SCHEMA,
     "table ap1.ApPathData has no column nothing; run: sinedon init --appiondb ap1"),
    ("INSERT INTO `ApPathData` (`nothing`) VALUES (1)", SCHEMA, "table ap1.ApPathData has no column nothing"),
    ("INSERT INTO `Full` (`a`) VALUES (1)", SCHEMA, "column b of table ap1.Full has to be filled and has no default"),
    ("INSERT INTO `Full` (`a`, `b`) VALUES (1, NULL)", VALUE,
     "the value for column b of table ap1.Full may not be empty there"),
    ("INSERT INTO `Full` (`a`, `b`) VALUES (7, 1)", VALUE, "table ap1.Full does not take the row: constraint small"),
])  # fmt: skip
def testSQLite(statement, kind, words):
    ask("CREATE TABLE Full (a INTEGER, b INTEGER NOT NULL, CONSTRAINT small CHECK (a < 5))")
    refusal = refuse(ask, statement)
    assert refusal.kind == kind
    assert str(refusal).startswith(words)


def testAnSQLiteFileThatIsReadOnly(database):
    """As root may write anything, the connection says so in place of the file's mode."""
    file = database.folder / "ap1.sqlite3"
    sinedon.closeConnections()
    connections.settings["appiondata"]["OPTIONS"]["init_command"] = "PRAGMA query_only = 1"
    for refusal in (refuse(insertPath), *findRefusals([appiondata.ApPathData])):
        assert refusal.kind == RIGHT
        assert str(refusal).startswith(f"{file} cannot be written to: ")
        assert refusal.remedy == "permit writing to it and to its folder"
    assert file.exists()


@pytest.mark.parametrize(("number", "words", "kind"), [
    (1045, "Access denied for user 'a'@'h' (using password: YES)", ACCOUNT),
    (1044, "Access denied for user 'a'@'h' to database 'ap1'", ACCOUNT),
    (1049, "Unknown database 'ap1'", ACCOUNT),
    (1129, "Host 'h' is blocked because of many connection errors", ACCOUNT),
    (1130, "Host 'h' is not allowed to connect to this MariaDB server", ACCOUNT),
    (4151, "Access denied, this account is locked", ACCOUNT),
    (1142, "INSERT command denied to user 'a'@'h' for table 'ApPathData'", RIGHT),
    (1227, "Access denied; you need (at least one of) the SUPER privilege(s) for this operation", RIGHT),
    (1366, "Incorrect string value", VALUE),
    (2006, "MySQL server has gone away", None),
    (1064, "You have an error in your SQL syntax", None),
])  # fmt: skip
def testNumbersWithoutAStatement(number, words, kind):
    """As they come of a connection that cannot be opened, or of what another package raises."""
    refusal = sinedon.findRefusal(RuntimeError("while storing"))
    assert refusal is None
    error = RuntimeError("while storing")
    error.__cause__ = DjangoDatabaseError(number, words)
    refusal = sinedon.findRefusal(error)
    assert (refusal and refusal.kind) == kind
    assert refusal is None or len(str(refusal).splitlines()) == 1


VALUES = [
    ("`a`", "abcdef", "the value for column a of table ap1.Full is too long for it; if it is right, type: "
                      "ALTER TABLE ap1.Full MODIFY a TEXT"),
    ("`SUBD|n`", 1e12, "the value for column SUBD|n of table ap1.Full is out of its range; if it is right, type: "
                       "ALTER TABLE ap1.Full MODIFY `SUBD|n` BIGINT"),
    ("`f`", 1e9, "the value for column f of table ap1.Full is out of its range; if it is right, type: "
                 "ALTER TABLE ap1.Full MODIFY f DOUBLE"),
    ("`t`", "\u03b1", "the value for column t of table ap1.Full is of another kind or character set; if it is right, "
                      "type: ALTER TABLE ap1.Full MODIFY t varchar(9) CHARACTER SET utf8mb4"),
    ("`k`", None, "the value for column k of table ap1.Full may not be empty there; if it is right, type: "
                  "ALTER TABLE ap1.Full MODIFY k int(11) NULL"),
    ("`k`", 7, "table ap1.Full does not take the row: constraint small; if all are refused, type: "
               "ALTER TABLE ap1.Full DROP CONSTRAINT small"),
    ("`u`", "q", "table ap1.Full does not take the row: constraint once; if all are refused, type: "
                 "ALTER TABLE ap1.Full DROP CONSTRAINT once"),
]  # fmt: skip


@pytest.mark.usefixtures("mariadatabase")
def testValuesThatMariaDBRefuses(mariadb):
    """And what is to be typed helps."""
    mariadb.execute(
        "CREATE TABLE ap1.Full (DEF_id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(5), `SUBD|n` INT, f FLOAT(4,1), "
        "t VARCHAR(9) CHARACTER SET latin1, k INT NOT NULL DEFAULT 0, u VARCHAR(5), UNIQUE KEY once (u), "
        "CONSTRAINT small CHECK (k < 5))",
        "INSERT INTO ap1.Full (u) VALUES ('q')",
    )
    ask("SET character_set_connection = utf8mb4")
    for columns, value, words in VALUES:
        refusal = refuse(ask, f"INSERT INTO `Full` ({columns}) VALUES (%s)", value)
        assert refusal.kind == VALUE
        assert str(refusal) == words
        mariadb.execute(words.partition(" type: ")[2])
        ask(f"INSERT INTO `Full` ({columns}) VALUES (%s)", value)
    mariadb.execute("DROP TABLE ap1.Full")


@pytest.mark.usefixtures("mariadatabase")
def testWhatAllRowsMeetOnMariaDB(mariadb):
    insertPath("/first")
    mariadb.execute("ALTER TABLE ap1.ApPathData ADD site_col INT NOT NULL")
    words = "column site_col of table ap1.ApPathData has to be filled and has no default; type: "
    words += "ALTER TABLE ap1.ApPathData MODIFY site_col int(11) NULL"
    for refusal in (refuse(insertPath), *findRefusals([appiondata.ApPathData, appiondata.ApCtfData])):
        assert (refusal.kind, str(refusal)) == (SCHEMA, words)
    mariadb.execute(words.partition(" type: ")[2])
    assert insertPath().def_id
    assert findRefusals([appiondata.ApPathData]) == []
    mariadb.execute("ALTER TABLE ap1.ApPathData DROP COLUMN path")
    assert str(refuse(insertPath)) == "table ap1.ApPathData has no column path; run: sinedon init --appiondb ap1"
    mariadb.execute("DROP TABLE ap1.ApPathData")
    assert str(refuse(insertPath)) == "there is no table ap1.ApPathData; run: sinedon init --appiondb ap1"
    rereadLiveTables()
    assert "there is no table ap1.ApPathData; run" in describeRefusals(findRefusals([appiondata.ApPathData]))
    assert "the database has no table ApPathData; run: sinedon init" in str(refuse(insertPath))
    assert main(["init", "--appiondb", "ap1"]) == 0
    sinedon.setup(1)
    assert insertPath().def_id == 1


@pytest.mark.usefixtures("mariadatabase")
def testAColumnOfLeginonsThatWent(mariadb):
    """What to type is what Leginon would; seen to be gone, it reads as empty."""
    mariadb.execute("ALTER TABLE leginondb.ScopeEMData DROP COLUMN `probe mode`")
    scopes = leginondata.ScopeEMData.objects
    refusal = refuse(scopes.first)
    assert (refusal.kind, refusal.remedy) == (SCHEMA, "type: ALTER TABLE leginondb.`ScopeEMData` ADD `probe mode` TEXT")
    rereadLiveTables()
    assert scopes.first() is None
    mariadb.execute(refusal.remedy.partition("type: ")[2])
    rereadLiveTables()
    assert scopes.filter(probe_mode="nano").first() is None


@pytest.mark.usefixtures("mariadatabase")
def testRightsAreFoundOutWithoutWriting(limited):
    limited.grant("SELECT ON *.*")
    sinedon.setup(1)
    models = [appiondata.ApPathData, appiondata.ApCtfData, leginondata.CameraEMData]
    refusals = findRefusals(models, [appiondata.ApAppionJobData])
    account = "'limited'@'127.0.0.1'"
    assert describeRefusals(refusals) == (
        f"user {account} has no right to INSERT on table ap1.ApPathData; "
        f"type: GRANT INSERT, UPDATE ON ap1.* TO {account}; "
        f"user {account} has no right to INSERT on table leginondb.CameraEMData; "
        f"type: GRANT INSERT ON leginondb.* TO {account} (and 2 more of the kind)"
    )
    for refusal in refusals:
        limited.server.executeAsRoot(refusal.remedy.removeprefix("type: "))
    sinedon.closeConnections()
    assert findRefusals(models, [appiondata.ApAppionJobData]) == []
    assert appiondata.ApPathData.objects.count() == 0
    limited.revoke("INSERT ON ap1.*")
    sinedon.closeConnections()
    assert str(refuse(insertPath)).endswith(f"type: GRANT INSERT, UPDATE ON ap1.* TO {account}")


@pytest.mark.usefixtures("mariadatabase")
def testAnAccountThatIsRefused(limited, capsys):
    limited.grant("SELECT ON leginondb.*")
    limited.grant("SELECT ON projectdb.*")
    with pytest.raises(sinedon.errors.ConnectionFailure) as error:
        sinedon.setup(1)
    assert "Type: GRANT SELECT, INSERT, UPDATE ON ap1.* TO 'limited'@'127.0.0.1'" in str(error.value)
    limited.grant("SELECT ON ap1.*")
    sinedon.setup(1)
    limited.lock()
    sinedon.closeConnections()
    refusal = refuse(appiondata.ApPathData.objects.count)
    assert refusal.kind == ACCOUNT
    assert "account is locked (4151); type: ALTER USER" in str(refusal)
    limited.unlock()
    limited.server.execute("RENAME TABLE ap1.ApPathData TO ap1.Kept")
    assert main(["init", "--appiondb", "ap1"]) == 2
    told = capsys.readouterr().err
    assert told == ("sinedon init: user 'limited'@'127.0.0.1' has no right to CREATE on table ap1.ApPathData; "
                    "type: GRANT CREATE ON ap1.* TO 'limited'@'127.0.0.1'\n")  # fmt: skip
    assert projectdata.projects.objects.count() == 1
    limited.server.execute("RENAME TABLE ap1.Kept TO ap1.ApPathData")
