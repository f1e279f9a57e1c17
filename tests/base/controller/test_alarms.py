"""Alarms within the loop and by `appion alarm`: settings, status, metrics, disks that refuse, trials."""

from __future__ import annotations

import errno
import json
import sys
from dataclasses import replace

import dask.config
import pytest

from appion.base.calc.alarmrules import parseRules
from appion.base.config import describeSettings, setting
from appion.base.controller import alarms as controlled
from appion.base.controller.alarms import takeLook
from appion.base.failures import ConfigurationFailure
from appion.base.loop import LoopOptions
from appion.base.records.runfolder import alarmsPath, seriesPath
from appion.base.retrieve import alarms as retrieved
from appion.base.retrieve.alarms import Follower, countWork, readAlarms
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.memory import readMemory
from appion.base.retrieve.status import describeAlarms, judgeRun, readStatus
from appion.base.store.alarms import lockAlarms, saveMemory
from appion.base.store.metrics import metricsPath
from appion.base.store.series import saveSeries
from appion.cli import main as appion
from tests.base.running import run, stopWhen, whatHappened
from tests.base.store.test_metrics import parseMetrics, pick

pytestmark = pytest.mark.usefixtures("fast", "inline")

FAR = {"name": "far", "number": "drift", "last": 5, "above": 20}
END = {"name": "end", "ended": True}


@pytest.fixture
def far(lab, monkeypatch):
    """A session whose exposures drift by their number."""
    step = lab.step
    measure = lambda result: {"drift": float(result["id"]), "exposed": 1e9 + result["id"]}  # noqa: E731
    monkeypatch.setattr(lab, "step", lambda: replace(step(), measure=measure))
    return lab


@pytest.fixture
def alarms(tmp_path):
    """A function that sets rules and receivers; the usual receiver appends to a file, which is returned."""
    told = tmp_path / "told"
    before = dask.config.get("appion.alarms")

    def use(rules, receivers=None, **more):
        receivers = [{"command": ["tee", "-a", str(told)]}] if receivers is None else receivers
        asked = {"rules": rules, "receivers": receivers, "every": 0.05, "settle": 0, "timeout": 100, **more}
        dask.config.set({"appion.alarms": {**before, **asked}})
        return told

    yield use
    dask.config.set({"appion.alarms": before})


def readLetters(told):
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


def test_an_alarm_is_in_status_events_metrics_and_log(far, alarms, caplog, capsys):
    told = alarms([FAR, END, {"name": "fit", "number": "confidence", "below": 0.5}])
    far.add(*range(1, 41))
    stopWhen(lambda: readStatus(far.rundir)["alarms"].get("far") if alarmsPath(far.rundir).exists() else False)
    caplog.set_level("INFO")
    run(far, LoopOptions(workers=1))
    assert {"alarm"} <= set(whatHappened(far))
    letters = {letter["alarm"]: letter for letter in readLetters(told)}
    assert letters["far"]["value"] == 38.0
    assert letters["far"]["text"] == "drift 38.0 Å (median of the last 5); above 20 Å"
    assert letters["end"]["text"] == "the run is over: stopped"
    assert "ALARM: far: drift 38.0 Å" in caplog.text
    assert pick(parseMetrics(metricsPath(far.rundir).read_text()), "appion_alarm", rule="far") == 1
    assert any(line.startswith("alarm far since ") for line in describeAlarms(far.rundir))
    assert appion(["alarm", str(far.rundir)]) == 1
    said = capsys.readouterr().out
    assert "  ALARM far since" in said
    assert "drift 38.0 Å (median of the last 5); above 20 Å" in said
    assert "  ?     fit: not known, or of too few exposures" in said
    assert len(readLetters(told)) == 2


def test_alarms_are_trouble_of_a_run_that_goes_on(far, alarms):
    alarms([FAR], [{"command": ["false"]}])
    far.add(*range(1, 41))
    found = []

    def look():
        if readMemory(far.rundir).refusals:
            found.extend(describeAlarms(far.rundir))
        return bool(found)

    stopWhen(look)
    run(far, LoopOptions(workers=1))
    assert found[0].startswith("alarm far since ")
    assert found[1] == "alarms cannot be told to command false, trying again: exit code 1"
    assert judgeRun(far.rundir).running is False


def test_a_disk_that_takes_no_alarms_silences_nobody(far, alarms, monkeypatch, caplog):
    told = alarms([FAR])
    refusals = iter(range(5))

    def refuse(rundir, memory):
        if next(refusals, None) is not None:
            raise OSError(errno.ENOSPC, "no space")
        saveMemory(rundir, memory)

    monkeypatch.setattr(controlled, "saveMemory", refuse)
    far.add(*range(1, 41))
    stopWhen(lambda: alarmsPath(far.rundir).exists() and readLetters(told))
    run(far, LoopOptions(workers=1))
    assert next(refusals, None) is None
    assert [letter["what"] for letter in readLetters(told)] == ["begins"]
    assert "alarms cannot be kept" in caplog.text
    assert readMemory(far.rundir).states["far"].active


def test_whoever_cannot_keep_it_tells_nobody_from_outside(far, alarms, monkeypatch, capsys):
    far.add(*range(1, 41))
    run(far)
    told = alarms([FAR])
    alarmsPath(far.rundir).mkdir()
    assert appion(["alarm", str(far.rundir), str(far.rundir / "no")]) == 2
    said = capsys.readouterr().err
    assert "is not a folder" in said
    assert said.count("\n") == 2
    assert readLetters(told) == []
    alarmsPath(far.rundir).rmdir()
    alarmsPath(far.rundir).write_text("{")
    assert appion(["alarm", str(far.rundir)]) == 1
    assert len(readLetters(told)) == 1
    with lockAlarms(far.rundir) as mine:
        assert mine
        assert takeLook(far.rundir, readAlarms(), {}, False, Follower(far.rundir, ()), print) is None
        dask.config.set({"appion.alarms.timeout": 0})
        monkeypatch.setattr("appion.cli.alarm.MARGIN", 0.1)
        assert appion(["alarm", str(far.rundir)]) == 2
    assert "somebody else tells its alarms" in capsys.readouterr().err


@pytest.mark.parametrize(("rules", "receivers", "said"), [
    ([{"name": "a", "number": "drfit", "above": 1}], [], r"did you mean drift\?"),
    ([FAR], [{"command": ["no such program"]}], "no such program is no program on this host"),
    ([FAR], [{"apprise": "env:NO_SUCH_VARIABLE"}], "the variable 'NO_SUCH_VARIABLE' is not set"),
    ("far", [], r"setting appion.alarms.rules is 'far' .*write a list"),
    ([FAR], "json://hunter2", r"setting appion.alarms.receivers is '\(not shown\)' .*write a list"),
])  # fmt: skip
def test_a_wrong_rule_ends_the_start(far, alarms, rules, receivers, said, capsys):
    alarms(rules, receivers)
    with pytest.raises(ConfigurationFailure, match=said):
        run(far)
    assert not (far.rundir / ".appion").exists()
    assert appion(["alarm", str(far.rundir)]) == 2
    assert "hunter2" not in capsys.readouterr().err


def test_addresses_are_not_among_the_settings_that_are_shown(alarms):
    alarms([], [{"apprise": "json://hunter2"}])
    shown = {one.key: one.value for one in describeSettings()}
    assert shown["alarms.receivers"] == "(not shown)"
    assert "hunter2" not in str(shown)
    assert setting("alarms.receivers") == [{"apprise": "json://hunter2"}]


def test_a_trial_is_marked_and_changes_nothing(far, alarms, capsys):
    far.add(*range(1, 41))
    run(far)
    told = alarms([FAR, END, {"name": "fit", "number": "confidence", "below": 0.5}])
    before = list(readEvents(far.rundir))
    assert appion(["alarm", "--test", "far", str(far.rundir)]) == 0
    (letter,) = readLetters(told)
    assert (letter["what"], letter["title"], letter["value"]) == ("trial", "TRIAL, no alarm: far", 38.0)
    assert appion(["alarm", "--test", str(far.rundir)]) == 0
    assert [letter["alarm"] for letter in readLetters(told)[1:]] == ["far", "end", "fit"]
    assert readLetters(told)[-1]["text"] == "not known yet"
    assert "command tee: told, after" in capsys.readouterr().out
    assert not alarmsPath(far.rundir).exists()
    assert list(readEvents(far.rundir)) == before
    alarms([FAR], [{"command": [sys.executable, "-c", "raise SystemExit('not today')"]}])
    assert appion(["alarm", "--test", str(far.rundir)]) == 1
    assert "not told, after" in capsys.readouterr().out
    assert appion(["alarm", "--test", "fra", str(far.rundir)]) == 2
    assert "has no rule 'fra' (did you mean far?)" in capsys.readouterr().err
    alarms([FAR], [])
    assert appion(["alarm", "--test", str(far.rundir)]) == 2
    assert "appion.alarms.receivers has no receiver" in capsys.readouterr().err


def test_a_series_is_followed_and_one_in_its_place_read_afresh(tmp_path):
    (tmp_path / ".appion").mkdir()
    follower = Follower(tmp_path, parseRules([FAR]))
    follower.read()
    assert (follower.values, follower.last_stored) == ({}, None)
    saveSeries(tmp_path, [{"image": one, "drift": 1.0 * one, "exposed": 100.0 - one, "stored": 5.0} for one in (1, 2)])
    saveSeries(tmp_path, [{"image": 3, "stored": 7.0, "exposed": 1.0}])
    follower.read()
    assert (follower.values, follower.last_stored) == ({"drift": [2.0, 1.0]}, 7.0)
    saveSeries(tmp_path, [{"image": 1, "drift": 9.0, "exposed": 99.0, "stored": 8.0}])
    follower.read()
    assert (follower.values, follower.last_stored) == ({"drift": [2.0, 9.0]}, 8.0)
    seriesPath(tmp_path).rename(tmp_path / "former")
    saveSeries(tmp_path, [{"image": 4, "drift": 4.0, "stored": 1.0}])
    follower.read()
    assert (follower.values, follower.last_stored) == ({"drift": [4.0]}, 1.0)


def test_of_a_long_session_no_more_than_its_end_is_read_and_kept(tmp_path, monkeypatch):
    (tmp_path / ".appion").mkdir()
    monkeypatch.setattr(retrieved, "EXPOSURES", 100)
    monkeypatch.setattr(retrieved, "TAIL", 5000)
    rules = parseRules([FAR])
    lines = [{"image": one, "drift": 1.0 * one, "exposed": 1e9 + one, "stored": 2e9 + one} for one in range(1000)]
    saveSeries(tmp_path, lines[:900])
    follower = Follower(tmp_path, rules)
    follower.read()
    assert 50 < len(follower.values["drift"]) < 100
    assert follower.values["drift"][-1] == 899.0
    saveSeries(tmp_path, lines[900:])
    for line in lines:
        saveSeries(tmp_path, [line | {"image": line["image"] + 1000, "exposed": line["exposed"] + 1000}])
        if line["image"] % 50 == 0:
            follower.read()
            assert len(follower._lines) <= 180
    assert len(follower.values["drift"]) == 100
    assert follower.last_stored == 2e9 + 999


@pytest.mark.parametrize(("counts", "arriving", "number"), [
    ({"queued": 2, "running": 1, "storing": 1, "backing off": 1, "done": 9}, None, 5),
    ({"waiting": 2, "done": 9}, None, 0),
    ({"waiting": 2, "done": 9}, 300.0, 2),
    ({"waiting": 5, "done": 9}, None, 5),
    ({"done": 9, "set aside": 3, "rejected": 4}, 300.0, 0),
])  # fmt: skip
def test_what_is_to_be_stored(counts, arriving, number):
    status = {"counts": counts, "arriving_per_hour": arriving, "state": "running"}
    assert countWork(status) == number
    assert countWork(status | {"state": "ended"}) == 0
