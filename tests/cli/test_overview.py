"""`appion status` without a folder: all runs, those of databases, of locks and of the keeper, worst first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import dask.config
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appion.base.calc.plain import makePlain
from appion.base.records.keeping import STATES, Keeping, KeptRun, NotStarted, keepingPath
from appion.base.retrieve import overview as rows
from appion.base.retrieve.held import listHeld
from appion.base.store.lock import acquireLock
from appion.cli import main as appion
from appion.cli import overview
from tests.web.rows import Session

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT = 600
EVIL = "\x1b[2J\u202e\nWELL"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Runs of others on this machine are none of these tests'."""
    monkeypatch.setattr(overview, "listHeld", list)


@pytest.fixture
def keeper(tmp_path):
    folder = tmp_path / "keep"
    folder.mkdir()
    with dask.config.set({"appion.keep.folder": str(folder)}):
        yield folder


@pytest.fixture
def nowhere(monkeypatch):
    """There is no sinedon.cfg."""
    monkeypatch.setattr(overview, "listConfigPaths", list)


def keep(folder: Path, *runs: KeptRun, skipped: tuple[NotStarted, ...] = (), ago: float = 1.0, ended: str = "") -> None:
    now = time.time()
    keeping = Keeping("em1", 77, now - 3600, now - ago, runs, skipped, ended)
    keepingPath(folder).write_text(json.dumps(asdict(keeping)))


def ask(capsys, *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = appion(["status", *words])
    return code, capsys.readouterr().out


def testAllRunsAreListedTheWorstFirst(database, keeper, tmp_path, capsys):
    assert database.projectid == 1
    session, other = Session(tmp_path, 2), Session(tmp_path, 2, name="26nov22b", first=5000)
    session.saveStatus("motion", total=5, counts={"done": 4, "waiting": 1}, behind={"count": 1, "minutes": 2.5})
    session.saveStatus("ctf", total=4, counts={"done": 3, "set aside": 1})
    other.saveStatus("motion", heartbeat=time.time() - 600)
    other.saveStatus("ctf", state="ended", ended="nothing is left to do")
    keep(keeper, KeptRun(str(tmp_path / "new"), "26nov22c", "krios", "motioncor2.py", "dd", "waiting", "no movie yet"),
         KeptRun(str(other.folders["ctf"]), "26nov22b", "krios", "ctffind4.py", "ctf1", "ended"),
         KeptRun(str(tmp_path / "bad"), "26nov22d", "krios", "ctffind4.py", "ctf1", "refused", "no such preset"),
         skipped=(NotStarted("26nov22e", "krios", "it is older than a week"),))  # fmt: skip
    code, text = ask(capsys)
    lines = text.splitlines()
    assert code == 1
    assert [line.split(maxsplit=3)[:3] for line in lines[:6]] == [
        ["TROUBLE", "26nov22a", "ctf1"], ["TROUBLE", "26nov22b", "ddstack1"], ["TROUBLE", "26nov22d", "ctf1"],
        ["WAITING", "26nov22c", "dd"], ["WELL", "26nov22a", "ddstack1"], ["ENDED", "26nov22b", "ctf1"],
    ]  # fmt: skip
    assert "1 exposure failed for good" in lines[0]
    assert "said no goodbye" in lines[1]
    assert lines[2].endswith("refused: no such preset")
    assert lines[4].endswith("4 of 5 done, 300 per hour, behind by 1 exposure")
    assert lines[6] == "not started: 26nov22e (krios): it is older than a week"
    assert lines[7].startswith("keeper: at work (process 77 on em1")
    assert lines[8] == f"More: appion status {session.folders['ctf']}"
    code, text = ask(capsys, "--json")
    found = json.loads(text)
    assert (code, found["exit_code"], len(found["runs"])) == (1, 1, 6)
    assert found["runs"][2]["kept"]["state"] == "refused"
    assert found["not_started"][0]["session"] == "26nov22e"


@pytest.mark.usefixtures("nowhere")
def testWithoutADatabaseTheKeepersAreShown(keeper, tmp_path, capsys):
    keep(keeper, KeptRun(str(tmp_path / "a"), "26nov22a", "krios", "motioncor2.py", "dd", "waiting"))
    code, text = ask(capsys)
    assert (code, text.split()[:3]) == (0, ["WAITING", "26nov22a", "dd"])
    keep(keeper, ago=300)
    assert ask(capsys)[0] == 1
    assert "keeper: TROUBLE: no sign of life for 5 min (process 77 on em1)" in ask(capsys)[1]
    keep(keeper, ago=300, ended="somebody said so")
    assert ask(capsys)[0] == 0
    keepingPath(keeper).write_text("{")
    assert ask(capsys)[0] == 2


@pytest.mark.usefixtures("nowhere", "keeper")
def testWhereNothingIsKnownThatIsSaid(capsys):
    assert appion(["status"]) == 2
    assert "no run is known here: there is no sinedon.cfg" in capsys.readouterr().err


def testADatabaseThatCannotBeReadIsAProblem(keeper, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SINEDON_CFG_PATH", str(tmp_path))
    (tmp_path / "sinedon.cfg").write_text("[global]\nhost: 127.0.0.1\nport: 1\nuser: nobody\n[leginondata]\ndb: l\n"
                                          "[projectdata]\ndb: p\n[appiondata]\ndb: a\n")  # fmt: skip
    assert appion(["status"]) == 2
    assert "the databases cannot be read" in capsys.readouterr().err
    keep(keeper, KeptRun(str(tmp_path / "a"), "26nov22a", "krios", "motioncor2.py", "dd", "starting"))
    code, text = ask(capsys)
    assert code == 1
    assert [line.split()[0] for line in text.splitlines()] == ["problem:", "WAITING", "keeper:"]


def testLocksThatAreHeldHereAreFound(tmp_path):
    rundir = tmp_path / "a run"
    rundir.mkdir()
    assert str(rundir) not in listHeld()
    with acquireLock(rundir):
        assert str(rundir) in listHeld()
        place = rows.collectPlaces([], {}, [str(rundir)], None)[0]
        assert place.held
        other = subprocess.run(
            [sys.executable, "-c", "import sys; from appion.base.retrieve.overview import *; row = judgePlace(Place("
             "sys.argv[1])); print(row.verdict, row.words)", rundir],
            cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=True,
        )  # fmt: skip
        assert other.stdout.startswith(f"WELL starting: process {os.getpid()} on ")
    assert str(rundir) not in listHeld()


@pytest.mark.usefixtures("nowhere")
def testAFolderThatDoesNotAnswerKeepsNobodyWaiting(keeper, tmp_path, monkeypatch, capsys):
    keep(keeper, *(KeptRun(str(tmp_path / name), name, "p", "motioncor2.py", "dd", "running") for name in ("a", "b")))
    judge, release = rows.judgePlace, threading.Event()
    monkeypatch.setattr(overview, "FOLDERS", 5.0)
    monkeypatch.setattr(overview, "judgePlace", lambda place: (
        release.wait(TIMEOUT) and None if place.session == "a" else judge(place)))  # fmt: skip
    code, text = ask(capsys)
    release.set()
    assert code == 1
    assert "TROUBLE  a dd  the run folder does not answer within 5 s" in text
    assert "WAITING  b dd  running, but it has written no status so far" in text


def testWatchingGoesOnUntilItIsInterrupted(tmp_path):
    keep(tmp_path, KeptRun(str(tmp_path / "a"), "26nov22a", "krios", "motioncor2.py", "dd", "refused", EVIL))
    program = ("import sys, appion.cli.watch as watch; watch.EVERY = 0.1; from appion.cli import main; "
               "sys.exit(main(['status', *sys.argv[1:]]))")  # fmt: skip
    for words, marker in (((), "TROUBLE  26nov22a dd"), (("--json",), '"verdict": "TROUBLE"')):
        process = subprocess.Popen(
            [sys.executable, "-c", program, "--watch", *words], text=True, cwd=ROOT, stdout=subprocess.PIPE,
            env=os.environ | {"DASK_APPION__KEEP__FOLDER": str(tmp_path), "HOME": str(tmp_path), "TERM": "xterm"},
        )  # fmt: skip
        assert process.stdout
        with process.stdout:
            seen: list[str] = []
            while len(seen) < 3:
                line = process.stdout.readline()
                assert line, "it ended by itself"
                assert "\x1b" not in line
                seen += [line] if marker in line else []
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait(TIMEOUT) == 1


texts = st.text(st.characters(codec="utf-8"), max_size=60) | st.just(EVIL)
kept = st.builds(KeptRun, st.just("/nowhere/run"), texts, texts, texts, texts, st.sampled_from(STATES), texts,
                 next_try=st.none() | st.floats(0, 2e9))  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(kept, max_size=3), st.lists(st.builds(NotStarted, texts, texts, texts), max_size=2),
       st.sampled_from((40, 80, 132)))  # fmt: skip
def testWhateverStandsInNamesALineIsALineAndFits(runs, skipped, width):
    found = rows.joinRows(rows.judgeKept(rows.Place(f"/nowhere/{number}", one.session, one.runname, one), one)
                          for number, one in enumerate(runs))  # fmt: skip
    keeping = Keeping("h", 1, 0.0, time.time(), tuple(runs), tuple(skipped))
    lines = overview.describeOverview(overview.Overview(found, keeping, (), 0.0), width)
    shown = [line for line in lines if not line.startswith(("More: ", "keeper: ", "No run"))]
    assert len(shown) == len(runs) + len(skipped)
    assert all(overview.measure(line) <= width and makePlain(line) == line for line in shown)
    assert [row.verdict for row in found] == sorted((row.verdict for row in found), key=rows.VERDICTS.index)
