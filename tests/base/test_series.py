"""The loop writes a line for each stored exposure, once it is stored and before its record goes."""

from __future__ import annotations

import errno
import json
from dataclasses import replace

import pytest

from appion.base.controller import series
from appion.base.loop import LoopOptions, runLoop
from appion.base.records.runfolder import seriesPath
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.series import readSeries
from appion.base.retrieve.status import readStatus
from appion.base.store.events import saveEvents
from appion.base.store.journal import saveResult
from appion.base.store.metrics import metricsPath
from appion.base.store.series import saveSeries
from appion.cli.status import showStatus
from tests.base.running import ONCE, run
from tests.base.store.test_metrics import parseMetrics, pick

pytestmark = pytest.mark.usefixtures("fast", "inline")


def measure(result):
    return {"name": f"measured{result['id']}", "drift": float(result["id"]), "dose": None, "exposed": 1.7e9}


@pytest.fixture
def measured(lab, monkeypatch):
    """A session whose exposures have a drift: their number."""
    step = lab.step
    monkeypatch.setattr(lab, "step", lambda: replace(step(), measure=measure))
    return lab


def test_each_stored_exposure_has_a_line_and_its_event_the_same_numbers(measured):
    measured.add(*range(1, 31))
    run(measured)
    lines = readSeries(measured.rundir).lines
    assert set(lines) == set(range(1, 31))
    told = {event["image"]: event for event in readEvents(measured.rundir) if event["what"] == "stored"}
    for image_id, line in lines.items():
        assert line["drift"] == told[image_id]["drift"] == image_id
        assert line["name"] == told[image_id]["name"]
        assert line["exposed"] == 1.7e9
        assert line["seconds_to_result"] == told[image_id]["seconds_to_result"] > 0
        assert "dose" not in line
    numbers = readStatus(measured.rundir)["numbers"]
    last = list(lines.values())[-20:]
    assert numbers["last"] == last[-1]
    assert numbers["last_20"]["drift"] == sorted(line["drift"] for line in last)[9] + 0.5


def test_after_a_restart_the_last_are_those_of_all_daemons(measured):
    measured.add(*range(1, 11))
    run(measured)
    measured.add(11)
    run(measured)
    assert readStatus(measured.rundir)["numbers"]["last_20"]["drift"] == 6.0


def test_a_disk_that_takes_no_line_keeps_the_result_until_it_does(measured, monkeypatch):
    measured.add(1, 2)
    refusals = iter(range(3))

    def refuse(rundir, lines):
        if next(refusals, None) is not None:
            raise OSError(errno.ENOSPC, "no space")
        saveSeries(rundir, lines)

    monkeypatch.setattr(series, "saveSeries", refuse)
    run(measured)
    assert next(refusals, None) is None
    assert set(readSeries(measured.rundir).lines) == {1, 2}
    assert retrieveResultIds(measured.rundir) == []
    what = [event["what"] for event in readEvents(measured.rundir)]
    assert what.count("stored") == 2
    assert {"storing fails", "storing works again"} <= set(what)


def test_numbers_that_cannot_be_made_cost_no_result(lab, monkeypatch):
    step = lab.step
    monkeypatch.setattr(lab, "step", lambda: replace(step(), measure=lambda result: {"drift": 1 / (result["id"] - 1)}))
    lab.add(1, 2)
    run(lab)
    assert set(lab.stored) == {1, 2}
    assert readSeries(lab.rundir).lines[2]["drift"] == 1.0
    assert set(readSeries(lab.rundir).lines[1]) == {"image", "name", "stored"}
    assert readStatus(lab.rundir)["warned"][0]["text"] == "no numbers: ZeroDivisionError: division by zero"


def test_what_was_stored_by_a_daemon_that_died_gets_its_line_once(measured):
    """Its rows are there and so is its record: the line is missing, or is that of an earlier result, or is there."""
    measured.add(1)
    measured.stored[1] = {"id": 1}
    (measured.rundir / ".appion").mkdir(exist_ok=True)
    saveSeries(measured.rundir, [{"image": 1, "drift": 99.0, "stored": 5.0}])
    for _ in range(2):
        saveResult(measured.rundir, 1, {"id": 1})
        run(measured)
        line = readSeries(measured.rundir).lines[1]
        assert (line["name"], line["drift"]) == ("measured1", 1.0)
    count = len(seriesPath(measured.rundir).read_text().splitlines())
    saveSeries(measured.rundir, [line | {"stored": line["stored"] + 1e6}])
    saveResult(measured.rundir, 1, {"id": 1})
    run(measured)
    assert len(seriesPath(measured.rundir).read_text().splitlines()) == count + 1
    saveResult(measured.rundir, 1, {"of another": "version"})
    seriesPath(measured.rundir).unlink()
    run(measured)
    assert retrieveResultIds(measured.rundir) == []


def test_without_commit_there_are_numbers_too(measured):
    measured.add(1, 2)
    options = LoopOptions(wait=False, commit=False, workers=1)
    run(measured, options)
    assert set(readSeries(measured.rundir).lines) == {1, 2}
    seriesPath(measured.rundir).unlink()
    run(measured, options)
    text = seriesPath(measured.rundir).read_text()
    assert set(readSeries(measured.rundir).lines) == {1, 2}
    run(measured, options)
    assert seriesPath(measured.rundir).read_text() == text


def test_a_run_of_an_earlier_version_goes_on_with_what_its_events_told(measured):
    (measured.rundir / ".appion").mkdir()
    saveEvents(measured.rundir, [{"time": 5.0, "what": "stored", "image": 1, "name": "old", "thickness": 300.0}])
    measured.add(1, 2)
    measured.stored[1] = {"id": 1}
    step = measured.step()
    runLoop(step, measured.rundir, ONCE, isDatabaseAway=lambda _: False, reconnect=lambda: None)
    lines = readSeries(measured.rundir).lines
    assert lines[1] == {"image": 1, "name": "old", "thickness": 300.0, "stored": 5.0}
    assert lines[2]["drift"] == 2.0


def test_status_and_metrics_tell_of_the_last_and_of_all(measured, capsys):
    measured.add(*range(1, 31))
    run(measured)
    lines = list(readSeries(measured.rundir).lines.values())
    assert showStatus(measured.rundir, as_json=True) == 2
    status = json.loads(capsys.readouterr().out)
    assert status["numbers"]["all"]["drift"] == 15.5
    told = readStatus(measured.rundir)["numbers"]
    assert {key: status["numbers"][key] for key in told} == told
    last = told["last_20"]["drift"]
    found = parseMetrics(metricsPath(measured.rundir).read_text())
    assert pick(found, "appion_result", number="drift", unit="Å", of="last_20") == last
    assert pick(found, "appion_result", number="drift", of="last") == lines[-1]["drift"]
    assert not [labels for name, labels in found if name == "appion_result" and "exposed" in dict(labels).values()]
    showStatus(measured.rundir, as_json=False)
    seconds = told["last_20"]["seconds_to_result"]
    words = f"  last 20: drift {last:.1f} Å, from exposure to result {seconds:.0f} s\n"
    assert words in capsys.readouterr().out
