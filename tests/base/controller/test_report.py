"""The live line, the numbers in the log, and a run folder that cannot be written."""

from __future__ import annotations

import io
import logging

import pytest

from appion.base.controller.line import Line
from appion.base.controller.report import Reporter, formatNumbers
from appion.base.controller.state import Exposures
from appion.base.failures import ImageFailure
from appion.base.retrieve.status import readStatus
from appion.base.step import Candidate
from appion.cli.status import describeCounts, describeWorkers


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def exposures():
    """Five: one done, one failed, one waiting, two queued."""
    exposures = Exposures(Line)
    exposures.add(Candidate(image_id, f"img{image_id}") for image_id in range(1, 6))
    exposures.finish(1)
    exposures.fail(2, ImageFailure("broken"))
    exposures.wait(3, "missing", None)
    return exposures


def test_live_line_and_log_give_the_same_numbers(exposures, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / ".appion").mkdir()
    terminal = Terminal()
    reporter = Reporter(tmp_path, "fake", True, terminal)
    with caplog.at_level(logging.INFO, "appion"):
        reporter.update(exposures, paused={"since": None, "reason": "disk full"})
        reporter.update(exposures)  # too soon
    line = "1 of 5 done, 0 running, 1 failed, 1 waiting, no rate yet, behind by 4 (0 min), paused: disk full"
    assert terminal.getvalue() == f"\r\x1b[K{line}"
    assert caplog.messages == [line]
    status = readStatus(tmp_path)
    assert formatNumbers(status) == line
    assert [(group["reason"], group["count"], group["image"]) for group in status["waiting_for"]] == [("missing", 1, 3)]
    assert status["failures"][0]["reason"] == "broken"


def test_a_run_folder_that_cannot_be_written_is_said_once_and_not_fatal(exposures, tmp_path, caplog):
    reporter = Reporter(tmp_path / "gone", "fake", True, io.StringIO())
    reporter.event("started")
    reporter.update(exposures, force=True)
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == ["ERROR"]


def test_what_waits_on_a_busy_worker_does_not_run_yet(exposures, tmp_path):
    (tmp_path / ".appion").mkdir()
    for image_id in (2, 4, 5):
        exposures.submitted(image_id)
    Reporter(tmp_path, "fake", True, Terminal()).update(exposures, workers={"busy": 2, "in_sight": 2})
    status = readStatus(tmp_path)
    assert status["counts"]["running"] == 3
    assert "2 running" in formatNumbers(status)
    assert describeCounts(status) == "1 of 5 exposures done, 1 waiting, 2 running, 1 next on their workers"


def test_why_jobs_wait_is_said_as_slurm_says_it():
    workers = {"cluster": "slurm", "planned": 5, "in_sight": 2}
    assert describeWorkers(workers) == "workers: 2 of 5 there (slurm)"
    workers["pending"] = [["Resources", 2], ["Priority", 1]]
    assert describeWorkers(workers) == "workers: 2 of 5 there (slurm); 3 jobs wait: 2 x Resources, 1 x Priority"


def test_the_latest_warnings_of_results_are_in_the_status(exposures, tmp_path):
    (tmp_path / ".appion").mkdir()
    reporter = Reporter(tmp_path, "fake", True, Terminal())
    for number in range(7):
        reporter.warn(f"img{number}", ["turned by 90°"])
    reporter.update(exposures)
    assert readStatus(tmp_path)["warnings"] == [f"img{number}: turned by 90°" for number in range(2, 7)]
    assert readStatus(tmp_path)["warned"] == [{"text": "turned by 90°", "count": 7}]
