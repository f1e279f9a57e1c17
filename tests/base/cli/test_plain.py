"""Names and descriptions with escape sequences, line breaks and unseen characters never get anywhere as such."""

from __future__ import annotations

import json
import logging
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sinedon.__main__ as sinedoncommand
from appion.base.calc.plain import PlainFormatter, formatJson, makePlain, makePlainLines
from appion.base.cli.dryrun import printDryRun
from appion.base.cli.logs import closeLogging, setupLogging
from appion.base.failures import ImageFailure, NotReady
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.status import readStatus
from appion.base.store.status import saveStatus
from appion.base.workers.cluster import redirectDaskLogs
from appion.cli import main
from appion.demo.watch import showProgress
from appion.doctor.finding import TODO, Finding
from tests.base.cli.test_command import heldElsewhere

#: An escape sequence, a bell, line breaks of all sorts, the other direction of writing, nothing at all.
EVIL = "\x1b[2Jeh\x07\r\n2026-01-01 00:00:00 INFO forged"
EVIL += "\u2028\x85\x0b\u202egnp\u2066\u200b\ufeff\x9b31m\x7f\U000e0041\u3164"


def checkPlain(text, allowed="\n"):
    """No character steers, hides or turns anything, and no line is the forged one."""
    bad = {letter for letter in text if letter not in allowed and (
        unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") or letter == "\u3164")}  # fmt: skip
    assert not bad, text
    assert not any(line.startswith("2026-01-01 00:00:00") for line in text.splitlines()), text


@given(st.text())
def test_whatever_it_is_it_is_one_plain_line(text):
    plain = makePlain(text)
    checkPlain(plain, allowed="")
    assert len(plain.splitlines()) <= 1
    assert makePlain(plain) == plain
    for line in makePlainLines(text):
        checkPlain(line, allowed="")
    for ensure_ascii in (True, False):
        written = formatJson({"text": text}, ensure_ascii=ensure_ascii)
        checkPlain(written)
        assert json.loads(written) == {"text": text}


def test_ordinary_names_stay_as_they_are():
    for text in ("26mar19a_00005enn", "Köln, 5 µm, 3.2 Å/px …", "中文 Ελληνικά кириллица", "a b", "/data/\udcff"):
        assert makePlain(text) == text
    assert makePlain("a\tb\x1b[31m") == r"a\tb\x1b[31m"


@pytest.fixture
def evil(lab):
    """A run in which every text that comes from elsewhere is evil."""

    def fail(image_id):
        if image_id == 1:
            raise ImageFailure(f"reason {EVIL}", f"remedy {EVIL}", f"cmd {EVIL}", f"host {EVIL}", f"out {EVIL}\nlast")

    def missing(image_id):
        if image_id == 2:
            raise NotReady(f"/frames/{EVIL} is not there")

    lab.add(1, 2, 3)
    lab.candidates = {one: f"img{one}{EVIL}" for one in lab.candidates}
    lab.onCalc, lab.onReady = fail, missing
    setupLogging(lab.rundir, f"motioncor2{EVIL}".replace("/", ""), [f"--description={EVIL}"], tty=True)
    try:
        runLoop(lab.step(), lab.rundir, LoopOptions(wait=False, workers=1, session=EVIL, warnings=(EVIL,)))
        logging.getLogger("appion").error("and %s", EVIL, exc_info=ValueError(EVIL))
    finally:
        closeLogging()
    return lab


@pytest.mark.usefixtures("fast", "inline")
def test_nothing_of_it_is_in_logs_status_metrics_or_on_a_terminal(evil, capsys):
    checkPlain(capsys.readouterr().err, allowed="\n\r\x1b")  # each message wipes the live line
    (log,) = evil.rundir.glob("motioncor2*.log")
    checkPlain(log.read_text())
    assert r"\x1b[2Jeh\x07\r\n2026-01-01 00:00:00 INFO forged\u2028" in log.read_text()
    for name in ("status.json", "metrics.prom", "events.jsonl", "series.jsonl"):
        checkPlain((evil.rundir / ".appion" / name).read_text())
    rundir = str(evil.rundir)
    with heldElsewhere(rundir):
        outage = {"since": 1.0, "reason": EVIL, "next_try": 1.0}
        status = readStatus(rundir) | {"state": "running", "host": EVIL, "ended": EVIL, "database": outage}
        status["workers"] |= {"trouble": [EVIL], "pending": [[EVIL, 2]], "cluster": EVIL}
        external = {"kind": EVIL, "version": EVIL, "path": EVIL}
        status |= {"external": external, "warned": [{"text": EVIL, "count": 2}], "program": EVIL, "unwritable": EVIL}
        saveStatus(rundir, status)
        for words in (["status"], ["status", "--json"], ["failures"], ["failures", "--json"], ["retry"]):
            main([*words, rundir])
            shown = capsys.readouterr()
            assert len(shown.out) > 20
            checkPlain(shown.out + shown.err)
    for image in ("1", "2", "3", f"img3{EVIL}"):
        assert main(["explain", rundir, image]) == 0
        checkPlain(capsys.readouterr().out)
    for words in (["explain", rundir, EVIL], ["retry", rundir, EVIL], ["status", rundir + EVIL]):
        assert main(words) == 2
        checkPlain(capsys.readouterr().err)
    with pytest.raises(SystemExit):
        main([f"--{EVIL}"])
    checkPlain(capsys.readouterr().err)
    assert readAttempts(rundir)[1].filename == f"img1{EVIL}", "it is kept as it is"


def test_what_other_commands_print(capsys, monkeypatch, tmp_path):
    checkPlain(str(Finding(TODO, "database", EVIL, EVIL)))
    showProgress(EVIL, news=True)
    monkeypatch.setattr(sinedoncommand, "checkDatabases", lambda _: ([EVIL], False))
    assert sinedoncommand.main(["check"]) == 1
    task = SimpleNamespace(origin=SimpleNamespace(filename=EVIL))
    command = SimpleNamespace(
        readSetting=lambda _: 5, retrieveParams=lambda ids, _: dict.fromkeys(ids, task), checkReady=lambda *_: None,
        constructLine=lambda *_: {"argv": [EVIL, "/data/é"]}, retrieveDone=lambda *_: set(), findRun=lambda _: None,
    )  # fmt: skip
    args = SimpleNamespace(**{"continue": False}, shuffle=False, limit=None)
    job = SimpleNamespace(args=args, retrieveCandidates=lambda _: [SimpleNamespace(image_id=1)],
                          retrieveRejected=set, context=None)  # fmt: skip
    printDryRun(command, job)
    shown = capsys.readouterr()
    checkPlain(shown.out + shown.err)
    assert json.loads(shown.out.splitlines()[-1])["argv"] == [EVIL, "/data/é"]
    assert "/data/é" in shown.out
    with redirectDaskLogs(tmp_path):
        logging.getLogger("distributed").warning("worker at %s", EVIL)
    checkPlain((tmp_path / "dask.log").read_text())


def test_a_traceback_that_another_handler_wrote_first_is_made_plain_too():
    try:
        raise ValueError(EVIL)
    except ValueError as error:
        record = logging.LogRecord("appion", 40, "", 1, "%s", (EVIL,), (ValueError, error, error.__traceback__))
    logging.Formatter().format(record)
    text = PlainFormatter("%(levelname)s %(message)s").format(record)
    checkPlain(text)
    assert all(line.startswith("  ") for line in text.splitlines()[1:])
