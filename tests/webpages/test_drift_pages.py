"""Pages of motion correction: drift of an exposure, drift of a session, list and report of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import pytest

from appion.demo.outcome import calcDriftError
from appion.demo.simulate import calcTrueDrift
from tests.webpages.filled import FRAMES, Filled, Row
from tests.webpages.pages import findDriftLog, findNext, readColumns, readDrift, readPixelSize

#: Lists of runs for forms: aligned ones or the others.
RUNS = (
    "SELECT r.DEF_id AS id, r.runname, q.path, s.preset, s.align, s.bin FROM ApDDStackRunData r "
    "LEFT JOIN ApPathData q ON r.`REF|ApPathData|path` = q.DEF_id "
    "LEFT JOIN ApDDStackParamsData s ON r.`REF|ApDDStackParamsData|params` = s.DEF_id "
    "WHERE r.`REF|leginondata|SessionData|session` = %s AND s.align = %s"
)


@pytest.mark.parametrize("label", ["a", "a-DW"])
def testDriftOfEitherMicrographIsThatOfTheSpecimen(filled: Filled, label: str):
    images = filled.readNames()
    for planned in filled.good:
        points = readDrift(filled, images[filled.nameAligned(planned, label)]["DEF_id"])
        assert len(points) == FRAMES
        assert points[FRAMES // 2] == (0, 0)
        assert calcDriftError(calcTrueDrift(planned.exposure), numpy.array(points)) < 0.3  # pixels


def testDriftComesFromTheLogWhereThereIsNoTrajectory(filled: Filled):
    images = filled.readNames()
    for planned in filled.good:
        image_id = images[filled.nameAligned(planned)]["DEF_id"]
        points = readDrift(filled, image_id)
        with withoutTrajectory(filled, image_id):
            assert numpy.allclose(readDrift(filled, image_id), points, rtol=0, atol=1e-5)
    assert findDriftLog(filled, image_id).parent == filled.plan.rundir


@contextmanager
def withoutTrajectory(filled: Filled, image_id: int) -> Iterator[None]:
    """Take the trajectory row of an image away for a while."""
    where = "WHERE `REF|leginondata|AcquisitionImageData|image` = %s"
    row = filled.readOne(f"SELECT * FROM ApDDFrameTrajectoryData {where}", image_id)
    filled.read(f"DELETE FROM ApDDFrameTrajectoryData {where}", image_id)
    try:
        yield
    finally:
        columns, marks = ", ".join(f"`{name}`" for name in row), ", ".join(["%s"] * len(row))
        filled.read(f"INSERT INTO ApDDFrameTrajectoryData ({columns}) VALUES ({marks})", *row.values())


def testDriftOfTheSessionAgreesWithEveryTrajectory(filled: Filled):
    images = filled.readNames()
    for planned in filled.good:
        row = readDriftStatistics(filled, images[planned.filename]["DEF_id"])
        points = numpy.array(readDrift(filled, row["result"]))
        moves = numpy.hypot(*numpy.diff(points, axis=0).T)
        assert row["apix"] == pytest.approx(readPixelSize(filled, row["result"])) == pytest.approx(1.06)
        assert row["median_shift_value"] == pytest.approx(numpy.median(moves))
        top = [row[f"top_shift{number}_value"] for number in (1, 2, 3)]
        assert top == pytest.approx(sorted(moves, reverse=True)[:3])
        truth = numpy.hypot(*numpy.diff(calcTrueDrift(planned.exposure), axis=0).T)
        assert row["median_shift_value"] == pytest.approx(numpy.median(truth), abs=0.3)


def readDriftStatistics(filled: Filled, source_id: int) -> Row:
    """Return the statistics of the newest results of an exposure."""
    rows = filled.read(
        "SELECT s.*, p.`REF|leginondata|AcquisitionImageData|result` AS result FROM ApDDAlignImagePairData p "
        "JOIN ApDDAlignStatsData s ON s.`REF|leginondata|AcquisitionImageData|image` = "
        "p.`REF|leginondata|AcquisitionImageData|result` "
        "AND s.`REF|ApDDStackRunData|ddstackrun` = p.`REF|ApDDStackRunData|ddstackrun` "
        "WHERE p.`REF|leginondata|AcquisitionImageData|source` = %s ORDER BY p.DEF_timestamp DESC LIMIT 1",
        source_id,
    )
    assert rows, "an exposure without statistics is missing from the graph"
    return rows[0]


def testReportOfRawFrameStacksFollowsEveryReference(filled: Filled):
    run = filled.readOne(
        "SELECT * FROM ApDDStackRunData WHERE `REF|leginondata|SessionData|session` = %s", filled.session_id
    )
    assert run["runname"] == filled.plan.rundir.name
    found = {}
    for column in (row["name"] for row in readColumns(filled, "ApDDStackRunData")):
        if column.startswith("REF|") and "leginondata" not in column:
            _, table, key = column.split("|")
            found[key] = filled.readOne(f"SELECT * FROM {table} WHERE DEF_id = %s", run[column])
    assert (found["params"]["preset"], found["params"]["align"], found["params"]["bin"]) == ("enn", 1, 1)
    assert found["path"]["path"] == str(filled.plan.rundir)


def testFormsListAlignedRunsOnly(filled: Filled):
    assert filled.read(RUNS, filled.session_id, 0) == []
    run = filled.readOne(RUNS, filled.session_id, 1)
    assert (run["runname"], run["path"]) == (filled.plan.rundir.name, str(filled.plan.rundir))
    pairs = filled.readOne(
        "SELECT count(*) AS number, count(DISTINCT `REF|leginondata|AcquisitionImageData|source`) AS sources "
        "FROM ApDDAlignImagePairData WHERE `REF|ApDDStackRunData|ddstackrun` = %s",
        run["id"],
    )
    assert pairs == {"number": 2 * len(filled.good), "sources": len(filled.good)}


def testFormsNumberTheNextRun(filled: Filled):
    stacks = [row["runname"] for row in filled.read("SELECT runname FROM ApDDStackRunData")]
    estimates = [row["name"] for row in filled.read("SELECT name FROM ApAceRunData WHERE name IS NOT NULL")]
    assert findNext(stacks, "ddstack") == 2
    assert findNext(estimates, "ctffind4run") == 2
    assert findNext(estimates, "gctfrun") == 1
    jobs = filled.read("SELECT jobtype, name FROM ApAppionJobData WHERE `REF|leginondata|SessionData|session` = %s",
                       filled.session_id)  # fmt: skip
    names = {jobtype: [row["name"].removesuffix(".appionsub.job") for row in jobs if row["jobtype"] == jobtype]
             for jobtype in ("makeddrawframestack", "ctfestimate")}
    assert findNext(names["makeddrawframestack"], "ddstack") == 2
    assert findNext(names["ctfestimate"], "ctffind4run") == 2
