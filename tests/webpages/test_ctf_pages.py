"""Pages of CTF estimation: report, graphs, viewer and downloads, on the rows and files of a session."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from PIL import Image

from appion.demo.outcome import calcAxisError, calcTrueFocus
from tests.webpages.filled import Filled, Row
from tests.webpages.pages import RANK, findImage, readBest, readColumns, readPixelSize, readViewerRow

#: Tables of parameters, and as what a run refers to them.
PARAMS = {
    "ApAceParamsData": "aceparams",
    "ApCtfTiltParamsData": "ctftilt_params",
    "ApAce2ParamsData": "ace2_params",
    "ApCtfFind4ParamsData": "ctffind4_params",
    "ApGCtfFindParamsData": "gctffind_params",
}

#: What the report counts and averages.
STATISTICS = (
    "defocus1", "defocus2", "angle_astigmatism", "extra_phase_shift", "resolution_80_percent", "resolution_50_percent",
    "ctffind4_resolution", "amplitude_contrast",
)  # fmt: skip


def isNear(filled: Filled, row: Row) -> bool:
    """Whether a row agrees with how its exposure was made: small exposures, so within 2 % and 15 degrees."""
    planned = next(one for one in filled.good if filled.nameAligned(one) == row["filename"])
    truth = calcTrueFocus(filled.plan, planned)
    return (
        abs(row["defocus1"] * 1e10 / truth.defocus1 - 1) < 0.02
        and abs(row["defocus2"] * 1e10 / truth.defocus2 - 1) < 0.02
        and calcAxisError(row["angle_astigmatism"], truth.axis) < 15
    )


def testReportListsTheRunWithFolderAndParameters(filled: Filled):
    run = filled.readOne(
        "SELECT r.*, q.path FROM ApAceRunData r LEFT JOIN ApPathData q ON r.`REF|ApPathData|path` = q.DEF_id "
        "WHERE r.`REF|leginondata|SessionData|session` = %s AND (r.hidden IS NULL OR r.hidden = 0) "
        "ORDER BY r.DEF_timestamp DESC",
        filled.session_id,
    )
    assert (run["name"], run["path"]) == (filled.plan.ctf_rundir.name, str(filled.plan.ctf_rundir))
    params = {}
    for table, key in PARAMS.items():
        if not readColumns(filled, table):
            continue
        # A page joins every table that there is: one without its column in the run's table ends them all.
        params[table] = filled.readOne(
            f"SELECT t.* FROM ApAceRunData r LEFT JOIN {table} t ON r.`REF|{table}|{key}` = t.DEF_id "
            "WHERE r.DEF_id = %s",
            run["DEF_id"],
        )
    mine = params.pop("ApCtfFind4ParamsData")
    assert all(row["DEF_id"] is None for row in params.values())
    assert mine | {
        "ampcontrast": 0.07, "fieldsize": 512, "cs": 2.7, "bestdb": 1, "resmin": 50.0, "defstep": 0.1, "shift_phase": 0
    } == mine  # fmt: skip


@pytest.mark.parametrize("column", STATISTICS)
def testReportCountsAndAveragesEveryImage(filled: Filled, column: str):
    row = filled.readOne(
        f"SELECT count(*) AS number, count(c.{column}) AS filled, min(c.{column}) AS low, max(c.{column}) AS high, "
        f"avg(c.{column}) AS mean, stddev(c.{column}) AS deviation FROM ApCtfData c "
        "LEFT JOIN leginondb.AcquisitionImageData a ON c.`REF|leginondata|AcquisitionImageData|image` = a.DEF_id "
        "WHERE a.`REF|SessionData|session` = %s AND c.`REF|ApAceRunData|acerun` IN (SELECT DEF_id FROM ApAceRunData)",
        filled.session_id,
    )
    assert row["number"] == row["filled"] == len(filled.good)
    assert row["low"] <= row["mean"] <= row["high"]
    assert row["deviation"] is not None
    if column in ("defocus1", "defocus2"):
        truth = [getattr(calcTrueFocus(filled.plan, one), column) * 1e-10 for one in filled.good]
        expected = (min(truth), max(truth), numpy.mean(truth))
        assert (row["low"], row["high"], row["mean"]) == pytest.approx(expected, rel=0.02)


def testReportAndGraphsHaveTheBestRowOfEveryImage(filled: Filled):
    rows = readBest(filled)
    assert sorted(row["filename"] for row in rows) == [filled.nameAligned(one) for one in filled.good]
    for row in rows:
        assert row["presetname"] == "enn-a"
        assert row["unix_timestamp"] > 0
        assert None not in (row["astig_x"], row["astig_y"])
        assert isNear(filled, row)
        assert 0 < row["defocus1"] <= row["defocus2"], "metres under focus, the smaller one first"


def testARowWithoutAnyFitRanksBehindEveryOther(filled: Filled):
    best = [row["DEF_id"] for row in readBest(filled)]
    names = [f"`{row['name']}`" for row in readColumns(filled, "ApCtfData") if row["name"] != "DEF_id"]
    copied = ["100000.0" if name == "`ctffind4_resolution`" else name for name in names]
    columns, values = ", ".join(names), ", ".join(copied)
    last = filled.readOne("SELECT max(DEF_id) AS id FROM ApCtfData")["id"]
    try:
        filled.read(f"INSERT INTO ApCtfData ({columns}) SELECT {values} FROM ApCtfData")
        assert [row["DEF_id"] for row in readBest(filled)] == best
        order = filled.read(f"SELECT c.DEF_id > %s AS worse FROM ApCtfData c ORDER BY {RANK}", last)
        assert [row["worse"] for row in order] == [0] * len(best) + [1] * len(best)
    finally:
        filled.read("DELETE FROM ApCtfData WHERE DEF_id > %s", last)


def testGraphsOfOneRunFindEveryColumnTheyAskFor(filled: Filled):
    rows = filled.read(
        "SELECT c.snr, c.noise1, c.noise2, c.noise3, c.noise4, c.envelope1, c.envelope2, c.envelope3, c.envelope4, "
        "c.lowercutoff, c.uppercutoff, c.localplot, c.localCTFstarfile, c.tilt_angle, c.tilt_axis_angle, c.mat_file, "
        "c.ctfvalues_file, s.`SUBD|image shift|x` AS is_x, s.`SUBD|image shift|y` AS is_y, "
        "c.confidence, c.confidence_d, c.confidence_30_10, c.confidence_5_peak, c.overfocus_conf_30_10, "
        "c.overfocus_conf_5_peak, c.cross_correlation, c.defocusinit, c.cs "
        "FROM ApCtfData c "
        "LEFT JOIN ApAceRunData r ON c.`REF|ApAceRunData|acerun` = r.DEF_id "
        "LEFT JOIN leginondb.AcquisitionImageData a ON c.`REF|leginondata|AcquisitionImageData|image` = a.DEF_id "
        "LEFT JOIN leginondb.ScopeEMData s ON a.`REF|ScopeEMData|scope` = s.DEF_id "
        "WHERE r.name = %s AND r.`REF|leginondata|SessionData|session` = %s",
        filled.plan.ctf_rundir.name, filled.session_id,
    )  # fmt: skip
    assert len(rows) == len(filled.good)
    for row in rows:
        assert [row[name] for name in ("tilt_angle", "tilt_axis_angle")] == [None, None], "nobody asked for tilt"
        confidences = [row[name] for name in row if "conf" in name]
        assert None not in confidences
        assert max(confidences) <= 1
        # What the recipe pages call the confidence of an image is that column already.
        assert row["confidence"] >= max(row["confidence_30_10"], row["confidence_5_peak"])
        assert row["cs"] == 2.7
        assert row["defocusinit"] > 0


def testViewerShowsTheNumbersBesideEveryMicrograph(filled: Filled):
    images = filled.readNames()
    for planned in filled.good:
        row = readViewerRow(filled, images[filled.nameAligned(planned)]["DEF_id"])
        truth = calcTrueFocus(filled.plan, planned)
        assert row["defocus1"] * 1e10 == pytest.approx(truth.defocus1, rel=0.02)
        assert abs(row["defocus1"] - row["defocus2"]) > 1e-10, "so the viewer shows both"
        assert row["nominal"] < 0
        assert (row["cs"], row["amplitude_contrast"], row["runname"]) == (2.7, 0.07, "ctffind4run1")
        assert 0.5 < max(row[name] for name in ("confidence", "confidence_30_10", "confidence_5_peak")) <= 1
        assert 2 < row["resolution_80_percent"] < 100
        assert 2 < row["ctffind4_resolution"] < 20
        assert row["extra_phase_shift"] < 0.001, "so the viewer shows none"


def testViewerFindsTheCtfFromTheRawImage(filled: Filled):
    images = filled.readNames()
    for planned in filled.good:
        raw = images[planned.filename]["DEF_id"]
        assert readViewerRow(filled, raw) is None
        aligned = findImage(filled, raw, "enn-a")
        assert aligned == images[filled.nameAligned(planned)]["DEF_id"]
        assert readViewerRow(filled, aligned) is not None
        weighted = findImage(filled, raw, "enn-a-DW")
        assert weighted == images[filled.nameAligned(planned, "a-DW")]["DEF_id"]
        assert readViewerRow(filled, weighted) is None, "its CTF was not asked for"


@pytest.mark.parametrize("graph", ["graph1", "graph2", "graph3", "graph4"])
def testPicturesLieWhereViewerAndReportLook(filled: Filled, graph: str):
    rows = [readViewerRow(filled, row["REF|leginondata|AcquisitionImageData|image"]) for row in readBest(filled)]
    names = {row[graph] for row in rows}
    assert len(names) == len(filled.good)
    for row in rows:
        assert "/" not in row[graph], "the report puts opimages/ before the name itself"
        path = Path(row["path"]) / "opimages" / row[graph]
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
            assert min(picture.size) >= 256
            assert len(picture.convert("L").getcolors(256)) > 2, "something is to be seen"


def testDownloadsHaveOpticsAndPixelSize(filled: Filled):
    rows = readBest(filled)
    for row in rows:
        camera = filled.readOne("SELECT * FROM leginondb.CameraEMData WHERE DEF_id = %s", row["camera"])
        assert (camera["SUBD|dimension|y"], camera["SUBD|dimension|x"]) == SHAPE_OF_SUMS
        assert readPixelSize(filled, row["REF|leginondata|AcquisitionImageData|image"]) == pytest.approx(1.06)
        assert row["high_tension"] / 1000 == 300
        tem = filled.readOne("SELECT cs FROM leginondb.InstrumentData WHERE DEF_id = %s", row["tem"])
        assert tem["cs"] * 1e3 == pytest.approx(row["cs"]) == 2.7
        assert -90 <= row["angle_astigmatism"] <= 90
        limit = min(row["resolution_50_percent"] or 100, row["ctffind4_resolution"] or 101)
        assert 2 < limit < 20
    assert all(isNear(filled, row) for row in rows)


#: (rows, columns) of the micrographs: those of the exposures, binned by 1.
SHAPE_OF_SUMS = (512, 720)
