"""How fast a run was, as its events tell it."""

import math

import pytest

from appion.base.store.events import saveEvents
from appion.demo.pace import calcPace, countMost, describePace


def tell(*rows):
    names = ("time", "what", "image", "seconds", "worker", "host")
    return [dict(zip(names, row, strict=False)) for row in rows]


EVENTS = tell(
    (0.0, "started"), (10.0, "found", 1), (11.0, "waiting", 1), (14.0, "submitted", 1), (14.0, "found", 2),
    (15.0, "submitted", 2), (16.0, "failed", 2), (20.0, "submitted", 2), (30.0, "computed", 1, 12.0, "w1", "n1"),
    (31.5, "stored", 1), (34.0, "computed", 2, 10.0, "w2", "n1"), (36.0, "stored", 2), (36.0, "stored", 2),
    (40.0, "submitted", 3),
)  # fmt: skip


def testPhasesAreTheTimesBetweenEvents():
    pace = calcPace(EVENTS)
    assert pace.phases == {"waiting": [4.0, 6.0], "queued": [4.0, 4.0], "computing": [12.0, 10.0],
                           "storing": [1.5, 2.0]}  # fmt: skip
    assert pace.workers == {"w1 on n1": (1, 12.0), "w2 on n1": (1, 10.0)}
    assert pace.per_hour == pytest.approx(3600 * 2 / 26)
    assert pace.calcMostBehind() == (2, 22.0)


def testHowManyAtATime():
    assert countMost([]) == 0
    assert countMost([(0, 1), (1, 2), (1.5, 3)]) == 2


def testTheReportSaysWhatDoctorMakesOfIt(tmp_path):
    assert describePace("motion correction", tmp_path, 300.0) == ["motion correction: nothing was stored"]
    (tmp_path / ".appion").mkdir()
    saveEvents(tmp_path, EVENTS)
    text = "\n".join(describePace("motion correction", tmp_path, 900.0))
    assert "2 exposures stored, 277 per hour (900 came)" in text
    assert "worker w1 on n1: 1 exposures of 12.0 s, 300 per hour while it works" in text
    assert "doctor --size: 4 workers for 900 exposures per hour of 11 s each" in text
    assert "at most 2 worked at a time: too few for that" in text
    assert "doctor" not in "\n".join(describePace("motion correction", tmp_path, math.inf))
