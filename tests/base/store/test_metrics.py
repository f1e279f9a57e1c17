"""Metrics: the text keeps to the exposition format, says what status.json says, and is never half there."""

from __future__ import annotations

import logging
import math
import re
import socket
import threading
import urllib.error
import urllib.request

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.status import readStatus
from appion.base.store.metrics import CONTENT_TYPE, constructMetrics, metricsPath, serveMetrics
from appion.cli.status import describePace

NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r"[a-zA-Z_][a-zA-Z0-9_]*"
TEXT = r'"(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:{{((?:{LABEL}={TEXT})(?:,{LABEL}={TEXT})*)?}})? (\S+)")
SUFFIXES = {"summary": ("", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def unescape(text):
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), text)


def parseMetrics(text):
    """Name and labels -> value; anything that the format does not allow is an error."""
    assert text.endswith("\n")
    found, kinds, helps, last = {}, {}, {}, None
    for line in text.split("\n")[:-1]:
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            assert re.fullmatch(NAME, name)
            known = {"HELP": helps, "TYPE": kinds}[word]
            assert name not in known, "said twice"
            known[name] = rest
            last = name
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        assert last is not None
        assert name.removeprefix(last) in SUFFIXES[kinds[last]], "samples of one metric stand together, below its type"
        pairs = re.findall(rf"({LABEL})=({TEXT})", labels or "")
        assert len(dict(pairs)) == len(pairs), "a label twice"
        decoded = frozenset((label, unescape(text[1:-1])) for label, text in pairs)
        assert (name, decoded) not in found, "a series twice"
        found[name, decoded] = float(value)
        assert kinds[last] != "counter" or (name.endswith("_total") and found[name, decoded] >= 0)
    assert kinds.keys() == helps.keys()
    return found


def pick(found, name, **labels):
    """The value of the one series of this name that has these labels."""
    values = [value for (series, has), value in found.items() if series == name and labels.items() <= dict(has).items()]
    assert len(values) == 1, (name, labels, values)
    return values[0]


@pytest.fixture
def finished(lab, fast, inline):  # noqa: ARG001
    """A run of eleven: eight done, one set aside, one rejected, one lost its worker once before it was done."""
    lab.add(*range(1, 12))
    lab.rejected = {11}
    lost = []

    def behave(image_id):
        if image_id == 3:
            raise ImageFailure("broken")
        if image_id == 5 and not lost:
            lost.append(image_id)
            raise InfrastructureFailure("lost")

    lab.onCalc = behave
    options = LoopOptions(wait=False, workers=2, session='25nov"22a\\')
    runLoop(lab.step(), lab.rundir, options, isDatabaseAway=lambda _: False, reconnect=lambda: None)
    return lab


def test_metrics_are_those_of_status_json(finished):
    status = readStatus(finished.rundir)
    found = parseMetrics(metricsPath(finished.rundir).read_text())
    for (_, labels), _ in found.items():
        assert {("run", str(finished.rundir)), ("step", "fake"), ("session", '25nov"22a\\')} <= labels
    for phase, number in status["counts"].items():
        assert pick(found, "appion_exposures", phase=phase) == number
    assert pick(found, "appion_exposures", phase="done") == 9
    for what, number in status["events"].items():
        assert pick(found, "appion_events_total", what=what) == number
    assert pick(found, "appion_events_total", what="stored") == 9
    assert pick(found, "appion_failures_total", **{"class": "image"}) == 3
    assert pick(found, "appion_failures_total", **{"class": "infrastructure"}) == 1
    assert pick(found, "appion_exposure_seconds_count") == status["seconds"]["computing"]["count"] == 9
    assert pick(found, "appion_exposure_seconds_sum") == pytest.approx(status["seconds"]["computing"]["sum"])
    for share, value in status["seconds"]["computing"]["quantiles"].items():
        assert pick(found, "appion_exposure_seconds", quantile=share) == value
    for part, count in {"computing": 9, "storing": 9}.items():
        assert pick(found, "appion_part_seconds_count", part=part) == status["seconds"][part]["count"] == count
    assert not any(name.startswith("appion_part") and ("part", "reading") in labels for name, labels in found)
    assert re.search(r"s each \(computing [\d.]+ s, storing [\d.]+ s\)", describePace(status))
    assert pick(found, "appion_done_per_hour") == pytest.approx(status["rate_per_hour"])
    assert pick(found, "appion_behind_exposures") == status["behind"]["count"] == 0
    assert pick(found, "appion_workers", state="in_sight") == status["workers"]["in_sight"]
    assert pick(found, "appion_heartbeat_timestamp_seconds") == status["heartbeat"]
    assert pick(found, "appion_up") == 0
    assert pick(found, "appion_info", version=status["version"], host=status["host"]) == 1
    assert {pick(found, "appion_outage", what=what) for what in ("database", "polling", "storing", "rundir")} == {0}


def test_outages_are_flags_and_what_is_not_known_is_left_out(finished):
    status = readStatus(finished.rundir)
    outage = {"since": 1.0, "reason": "gone", "next_try": 5.0}
    status |= {"database": outage, "unwritable": "disk full", "state": "running", "rate_per_hour": None, "session": ""}
    status["rundir"] = "/data/\udcff\n"
    found = parseMetrics(constructMetrics(status))
    flags = {dict(labels)["what"] for (name, labels), value in found.items() if name == "appion_outage" and value}
    assert flags == {"database", "rundir"}
    assert pick(found, "appion_up") == 1
    assert not any(name == "appion_done_per_hour" or math.isnan(value) for (name, _), value in found.items())
    assert all(dict(labels)["run"] == "/data/?\n" and "session" not in dict(labels) for _, labels in found)


def test_jobs_of_slurm_by_state_and_reason_and_what_is_wrong_with_slurm(finished):
    status = readStatus(finished.rundir)
    assert not [name for name, _ in parseMetrics(constructMetrics(status)) if name.startswith("appion_jobs")]
    status["workers"] |= {
        "jobs": {"working": 3, "starting": 0, "pending": 4, "unknown": 1},
        "pending": [["Resources", 3], ["ReqNodeNotAvail, UnavailableNodes:n[1-2]", 1]],
        "outages": {"sbatch": True, "squeue": False, "jobs": False},
        "excluded": 2,
    }
    found = parseMetrics(constructMetrics(status))
    assert [pick(found, "appion_jobs", state=state) for state in ("working", "starting", "pending")] == [3, 0, 4]
    assert pick(found, "appion_jobs_pending", reason="Resources") == 3
    assert pick(found, "appion_jobs_pending", reason="ReqNodeNotAvail, UnavailableNodes:n[1-2]") == 1
    assert [pick(found, "appion_outage", what=what) for what in ("sbatch", "squeue", "database")] == [1, 0, 0]
    assert pick(found, "appion_nodes_excluded") == 2


def get(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=600) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_over_http_while_the_run_lasts_and_whole_at_any_moment(lab, fast, inline, caplog):  # noqa: ARG001
    """Somebody else reads file and port all the time; each time what is there is complete."""
    lab.add(*range(1, 200))
    read, served, stop, troubles = [], [], threading.Event(), []

    def watch():
        while not stop.is_set():
            try:
                ports = re.findall(r"http://127\.0\.0\.1:(\d+)/metrics", caplog.text)
                if metricsPath(lab.rundir).exists():
                    read.append(parseMetrics(metricsPath(lab.rundir).read_text()))
                    kind, text = get(ports[0])
                    assert kind == CONTENT_TYPE
                    served.append(parseMetrics(text))
            except Exception as error:
                troubles.append(error)

    thread = threading.Thread(target=watch)
    settings = {"appion.metrics_port": 0, "appion.status_interval": 0}
    with caplog.at_level(logging.INFO, "appion"), dask.config.set(settings):
        lab.onStore = lambda _: None if thread.is_alive() or stop.is_set() else thread.start()
        try:
            lab.onPoll = lambda: stop.set() if len(served) > 10 else lab.add(len(lab.candidates) + 1)
            runLoop(lab.step(), lab.rundir, LoopOptions(wait=False, workers=1), isDatabaseAway=lambda _: False)
        finally:
            stop.set()
            thread.join(600)
    # When the run ended the port was closed, which the watcher may have met.
    assert [error for error in troubles if not isinstance(error, OSError)] == []
    assert len(served) > 10
    for them in (read, served):
        numbers = [pick(one, "appion_exposures", phase="done") for one in them]
        assert numbers == sorted(numbers)
    port = re.findall(r"http://127\.0\.0\.1:(\d+)/metrics", caplog.text)[0]
    with pytest.raises(OSError, match="refused"):
        get(port)
    assert [path.name for path in metricsPath(lab.rundir).parent.glob("*.tmp")] == []


def test_only_metrics_are_served_and_a_port_in_use_stops_nobody(caplog):
    with dask.config.set({"appion.metrics_port": 0}), serveMetrics(lambda: "x 1\n") as port:
        assert get(port, "/metrics?a=b")[1] == "x 1\n"
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            get(port, "/etc/passwd")
        caught.value.close()
        with dask.config.set({"appion.metrics_port": port}), serveMetrics(str) as second:
            assert second is None
        assert f"port {port}" in caplog.text
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    with serveMetrics(str) as port:
        assert port is None
    for wrong in (70000, 1.5):
        with dask.config.set({"appion.metrics_port": wrong}), pytest.raises(ConfigurationFailure), serveMetrics(str):
            pass

