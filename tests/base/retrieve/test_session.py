"""Session, project, run name and run folder: found, checked in classic's order, refused with the remedy."""

import os
import time

import pytest
from django.db import OperationalError

import sinedon
from appion.base.cli.command import (
    constructRundir,
    constructTimestamp,
    createRundir,
    prepareRun,
    printConfig,
    runCommand,
)
from appion.base.cli.logs import closeLogging, logMessages, setupLogging
from appion.base.cli.options import constructParser, parseArguments
from appion.base.failures import ConfigurationFailure
from appion.base.records.process import closeToEverybody
from appion.base.retrieve.session import isSessionDone
from sinedon.models import appiondata, leginondata, projectdata
from tests.services.sessions import makeSession

PROGRAM = "makeDDAlignMotionCor2_UCSF"


def prepare(*words):
    args = parseArguments(constructParser(f"{PROGRAM}.py"), words)
    return args, prepareRun(args, PROGRAM)


def refuse(*words):
    with pytest.raises(ConfigurationFailure) as refused:
        prepare(*words)
    return str(refused.value)


@pytest.mark.usefixtures("anydatabase")
def test_a_session_by_name_and_by_id():
    made = makeSession(images=1, root="/leginon/leginon-data")
    args, session = prepare("--session=26mar19a", "--runname=run1", "--projectid=1")
    assert (session.def_id, session.name, session.projectid) == (made.session_id, "26mar19a", 1)
    assert (session.image_path, session.frame_path) == (made.image_path, made.frame_path)
    assert args.rundir == f"/leginon/leginon-data/appion/26mar19a/{PROGRAM}/run1", "only the last 'leginon' is replaced"
    assert sinedon.hasTable(appiondata.ApPathData), "the project's database is connected"
    args, by_id = prepare(f"--expid={made.session_id}", "--runname=run1")
    assert by_id == session
    assert (args.sessionname, args.projectid) == ("26mar19a", 1), "what was found out is filled in"


@pytest.mark.usefixtures("database")
def test_the_newest_session_of_a_name_counts_unless_the_id_is_given(caplog):
    older = makeSession(images=0)
    newer = sinedon.insertRow(leginondata.SessionData, name=older.name, image_path="/other")
    sinedon.insertRow(projectdata.projectexperiments, project=1, session=newer)
    assert prepare(f"--session={older.name}", "--rundir=/r/a", "--runname=a")[1].def_id == newer.def_id
    both = prepare(f"--session={older.name}", f"--expid={older.session_id}", "--runname=a", "--rundir=/r/a")
    assert both[1].def_id == older.session_id
    assert prepare(f"--session={older.name}", "--expid=7472", "--runname=a", "--rundir=/r/a")[1].def_id == newer.def_id
    assert "--expid=7472: there is no session with this id; --session=26mar19a counts" in caplog.text


@pytest.mark.usefixtures("database")
def test_a_session_by_its_images():
    made = makeSession(images=2)
    makeSession(images=1, name="26mar20b")
    words = ("--runname=a", "--rundir=/r/a/")
    args, session = prepare(f"--mrclist=/some/where/{made.filenames[1]}.mrc", *words)
    assert session.name == made.name
    assert args.rundir == "/r/a"
    assert "none of these images exists (give the names of" in refuse("--mrclist=nothing", *words)
    assert "2 sessions (add --session=NAME)" in refuse(f"--mrclist={made.filenames[0]},26mar20b_00001enn", *words)


@pytest.mark.usefixtures("database")
def test_what_contradicts_itself_is_refused():
    made = makeSession(images=1)
    other = makeSession(images=0, name="26mar20b")
    session = f"--session={made.name}"
    assert "reserved" in refuse("--runname=templates", session)
    assert "--runname=b" in refuse("--runname=a", "--rundir=/x/b/", session)
    assert "exclude each other" in refuse("--runname=a", "--mrclist=x", "--preset=enn")
    assert "--session=NAME" in refuse("--runname=a")
    assert "newest are 26mar20b" in refuse("--runname=a", "--session=26mar19")
    assert "--expid=99" in refuse("--runname=a", "--expid=99")
    disagree = refuse("--runname=a", session, f"--expid={other.session_id}")
    assert "disagree" in disagree
    assert "26mar20b" in disagree
    assert "use --projectid=1" in refuse("--runname=a", session, "--projectid=2")
    assert "above" in refuse("--runname=a", session, "--startimgid=3", "--endimgid=2")
    assert "--limit=0" in refuse("--runname=a", session, "--limit=0")


@pytest.mark.usefixtures("database")
def test_a_session_without_project_needs_one():
    sinedon.insertRow(leginondata.SessionData, name="alone", image_path="/data/leginon/alone/rawdata")
    assert "--projectid" in refuse("--session=alone", "--runname=a")
    assert prepare("--session=alone", "--runname=a", "--projectid=1")[1].projectid is None
    with pytest.raises(sinedon.errors.ConfigurationError, match="projects that have one: 1"):
        prepare("--session=alone", "--runname=a", "--projectid=7")


@pytest.mark.usefixtures("database")
def test_a_session_in_two_projects():
    made = makeSession(images=0)
    for project in (2, 2, 1):
        sinedon.insertRow(projectdata.projectexperiments, project=project, session=made.session_id)
    sinedon.insertRow(projectdata.processingdb, project=2, appiondb="ap1")
    words = ("--session=26mar19a", "--runname=a", "--rundir=/r/a")
    for number in (1, 2):
        args, session = prepare(*words, f"--projectid={number}")
        assert (args.projectid, set(session.projectids)) == (number, {1, 2})
    assert "belongs to projects 1 and 2 (say with --projectid=ID" in refuse(*words)
    assert "belongs to projects 1 and 2 (use --projectid=" in refuse(*words, "--projectid=3")


@pytest.mark.usefixtures("database")
def test_a_run_without_a_name_is_named_after_the_time():
    makeSession(images=0)
    args, _ = prepare("--session=26mar19a")
    assert os.path.basename(args.rundir) == args.runname
    assert constructTimestamp(time.struct_time((2025, 11, 20, 14, 32, 0, 0, 0, 0))) == "25nov20o32"


def test_default_run_folder_without_leginon_in_the_path():
    assert constructRundir("/data/s/rawdata/", "p", "r") == "/data/s/p/r"
    with pytest.raises(ConfigurationFailure, match="--rundir"):
        constructRundir("", "p", "r")


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o775), (0o022, 0o755), (0o077, 0o700), (0, 0o775)])
def test_the_run_folder_is_made_by_the_umask_and_never_for_everybody(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        closeToEverybody()
        made = createRundir(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == mode
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert createRundir(made) == made
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationFailure, match="--rundir"):
        createRundir(tmp_path / "file" / "b")
    with pytest.raises(ConfigurationFailure, match="--rundir"):
        createRundir(tmp_path / "file")


def test_the_log_begins_with_the_command_and_is_appended_to(tmp_path, capsys):
    for number in (1, 2):
        setupLogging(tmp_path, PROGRAM, ["--description=two words", f"--limit={number}"])
        logMessages([(20, "said"), (30, "doubted")])
    closeLogging()
    lines = (tmp_path / f"{PROGRAM}.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines[:3]] == [
        f"{PROGRAM} '--description=two words' --limit=1", "INFO said", "WARNING doubted"]
    assert len(lines) == 6, "each message once"
    assert capsys.readouterr().err == "said\nwarning: doubted\n" * 2


def test_the_log_keeps_bytes_that_are_no_text(tmp_path):
    setupLogging(tmp_path, PROGRAM, ["--description=\udcc5"])
    logMessages([(20, "said \udcc5")])
    closeLogging()
    assert (tmp_path / f"{PROGRAM}.log").read_bytes().count(b"\xc5") == 2


def test_quiet_shows_warnings_only_and_a_terminal_line_is_wiped(tmp_path, capsys):
    setupLogging(None, tty=True, quiet=True)
    logMessages([(20, "said"), (30, "doubted")])
    closeLogging()
    assert capsys.readouterr().err == "\r\x1b[Kwarning: doubted\n"
    assert list(tmp_path.iterdir()) == []


def raiseThis(error):
    raise error


@pytest.mark.parametrize(("error", "code", "words"), [
    (ConfigurationFailure("no such preset", "give another"), 2, "error: no such preset (give another)\n"),
    (sinedon.errors.ConfigurationError("no project"), 2, "error: no project\n"),
    (KeyboardInterrupt(), 130, "error: interrupted\n"),
    (OperationalError(1142, "INSERT command denied to user 'a'@'h' for table 'T'"), 2, None),
    (OperationalError(2006, "gone"), 1, "error: the database does not answer: (2006, 'gone')\n"),
])
def test_expected_errors_are_one_line(capsys, error, code, words):
    assert runCommand(lambda: raiseThis(error)) == code
    told = capsys.readouterr().err
    assert told == (words or told)
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_unexpected_errors_keep_their_traceback(capsys):
    assert runCommand(lambda: raiseThis(RuntimeError("what is this"))) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: unexpected: RuntimeError: what is this\n  Traceback")
    assert runCommand(lambda: None) == 0


@pytest.mark.usefixtures("database")
def test_every_option_and_setting_says_where_it_comes_from(capsys):
    makeSession(images=0)
    parser = constructParser(PROGRAM)
    args = parseArguments(parser, ["--session=26mar19a", "--limit=4"])
    prepareRun(args, PROGRAM)
    printConfig(parser, args)
    lines = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["--limit"] == "4\tcommand line"
    assert lines["--projectid"] == "1\tderived"
    assert lines["--tiltangle"] == "all\tdefault"
    assert lines["appion.poll"].endswith("\tdefault")


@pytest.mark.usefixtures("anydatabase")
def test_session_is_done_when_the_newest_word_says_so():
    made = makeSession(images=0)
    assert not isSessionDone(made.session_id)
    for done in (True, False):
        sinedon.insertRow(leginondata.SessionDoneLog, session=made.session_id, done=done)
        assert isSessionDone(made.session_id) == done
    assert not isSessionDone(made.session_id + 1)


@pytest.mark.usefixtures("classicdatabase")
def test_an_old_database_knows_no_end_of_a_session():
    assert not sinedon.hasTable(leginondata.SessionDoneLog)
    assert not isSessionDone(makeSession(images=0).session_id)
