"""`appion export` on a session that was really corrected: what is in the files, what is left out, what is refused."""

import contextlib
import csv
import json
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest
import starfile
from django.db import connections

import sinedon
from appion.cli import main
from appion.export.micrographs import LeftOut, readFiles
from appion.export.runs import readRuns
from appion.export.session import readExposures
from appion.export.tables import formatCell
from sinedon.models import leginondata
from tests.export.made import makeRows, makeSite


@pytest.fixture
def site(sqlitedatabase, tmp_path):  # noqa: ARG001
    """Three exposures, two of which have a CTF, one of these without a resolution."""
    made = makeSite(tmp_path, "mrc", (False, 0), 3, fits=2)
    rows = leginondata.ScopeEMData.objects.order_by("def_id")
    for row, shift in zip(rows, (1e-6, 1.05e-6, 4e-6), strict=False):
        sinedon.updateRow(leginondata.ScopeEMData, row.def_id, image_shift_x=shift, image_shift_y=0.0)
    return made


def export(*words):
    return main(["export", *map(str, words)])


def readTable(path):
    return starfile.read(path, always_dict=True)


def test_whatIsInTheFiles(site, tmp_path, capsys):
    """Then what --where, --project, a sum that is gone and a classic run make of it."""
    out = tmp_path / "project" / "Appion"
    runs = site.ctf, site.motion  # which is which is found by what is in them
    assert export(*runs, "--star", "--csv", "--parquet", "--out", out, "--project", out.parent) == 0
    said = capsys.readouterr().out
    assert "3 of 3 exposures" in said
    assert "3 micrographs, 2 with a CTF, 3 with motion for polishing; optics groups: 1" in said
    corrected = readTable(out / "corrected_micrographs.star")
    rows = corrected["micrographs"].to_dict("records")
    assert len(rows) == 3
    for row, name in zip(rows, site.made.filenames, strict=True):
        assert row["rlnMicrographName"] == f"Appion/Micrographs/{site.made.name}/{name}-a-DW.mrc"
        assert row["rlnMicrographNameNoDW"].endswith(f"{name}-a.mrc")
        parts = row["rlnAccumMotionEarly"] + row["rlnAccumMotionLate"]
        assert row["rlnAccumMotionTotal"] == pytest.approx(parts, abs=1e-3)
        general = starfile.read(out.parent / row["rlnMicrographMetadata"])["general"]
        assert (out.parent / general["rlnMicrographMovieName"]).resolve().suffix == ".mrc"
        assert (out.parent / general["rlnMicrographGainName"]).exists()
    fitted = readTable(out / "micrographs_ctf.star")["micrographs"]
    assert fitted["rlnCtfMaxResolution"].tolist() == [4.0, 6.0]
    assert "rlnPhaseShift" not in fitted
    assert not {"nan", "inf", "None"} & set((out / "micrographs_ctf.star").read_text().split())
    checkTables(site, out)
    checkChoice(site, tmp_path, capsys)
    checkGone(site, tmp_path, capsys)
    checkClassic(site, tmp_path)
    page = tmp_path / "report.html"
    assert main(["report", str(site.motion), str(site.ctf), "--out", str(page), "--where", "drift > 0"]) == 0
    assert "3 exposures" in capsys.readouterr().out
    assert "data:image/jpeg;base64," in page.read_text(encoding="utf-8")
    assert main(["report", str(site.motion), "--out", str(tmp_path / "no" / "report.html")]) == 2
    assert "cannot be a file" in capsys.readouterr().err


def checkTables(site, out):
    """CSV and Parquet have the numbers of the series, and of the fits what the rows tell."""
    lines = [json.loads(line) for line in (site.motion / ".appion" / "series.jsonl").read_text().splitlines()]
    with open(out / "exposures.csv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for line in lines:
        row = rows[line["name"]]
        assert int(row["image"]) == line["image"]
        assert (float(row["drift"]), float(row["dose"])) == (line["drift"], line["dose"])
    assert [float(row["defocus"]) for row in rows.values() if row["defocus"]] == [12250, 15500]
    with open(out / "exposures.columns.csv", newline="") as file:
        about = {row["column"]: (row["what it is"], row["unit"]) for row in csv.DictReader(file)}
    assert about["drift"] == ("drift", "Å")
    table = pyarrow.parquet.read_table(out / "exposures.parquet")
    assert table.column_names == list(about)
    assert table.column("drift").to_pylist() == [float(row["drift"]) for row in rows.values()]
    assert table.column("defocus").to_pylist()[2] is None
    assert table.schema.field("drift").metadata == {b"unit": "Å".encode(), b"words": b"drift"}


def checkChoice(site, tmp_path, capsys):
    runs = site.motion, site.ctf
    assert export(*runs, "--star", "--out", tmp_path / "few", "--where", "ctf_resolution < 5 and drift > 0.1") == 0
    assert "1 of 3 exposures where ctf_resolution < 5" in capsys.readouterr().out
    assert len(readTable(tmp_path / "few" / "corrected_micrographs.star")["micrographs"]) == 1
    words = "--star", "--copy", "--out", tmp_path / "groups", "--optics-by=imageshift"
    assert export(*runs, *words) == 0
    tables = readTable(tmp_path / "groups" / "corrected_micrographs.star")
    assert tables["micrographs"]["rlnOpticsGroup"].tolist() == [1, 1, 2]
    assert tables["optics"]["rlnAmplitudeContrast"].tolist() == [0.1, 0.1]
    assert not any(path.is_symlink() for path in (tmp_path / "groups" / "Micrographs").rglob("*.mrc"))
    assert export(site.ctf, "--star", "--out", tmp_path / "fits") == 0
    assert "2 micrographs, 2 with a CTF, 0 with motion" in capsys.readouterr().out
    for where, said in (
        ("ice_ring < 5", "no exposure has ice_ring"), ("drfit < 5", "drift? There are"),
        ("drift < 0", "none of 3 exposures fulfils"), ("drift", "has no comparison"),
    ):  # fmt: skip
        assert export(*runs, "--star", "--out", tmp_path / "none", "--where", where) == 2
        assert said in capsys.readouterr().err
    for words, said in (
        ((*runs, "--out", tmp_path / "none"), "nothing is asked for"),
        ((tmp_path / "no", "--star", "--out", tmp_path / "none"), "is not a folder"),
        ((tmp_path, "--star", "--out", tmp_path / "none"), "belongs to no project"),
        ((*runs, "--star", "--out", tmp_path / "none", "--projectid=9"), "project 9 has no Appion database"),
        ((*runs, "--star", "--out", tmp_path / "none", "--ampcontrast=7"), "is no fraction"),
        ((*runs, "--star", "--out", tmp_path / "none", "--project", tmp_path / "few"), "does not lie in"),
    ):
        assert export(*words) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def checkGone(site, tmp_path, capsys):
    """A movie that is gone leaves the rest as it is; a sum that is gone takes its exposure along, and it is told."""
    Path(next((tmp_path / "frames").rglob("*.mrc"))).unlink()
    gone = Path(site.made.image_path) / f"{site.made.filenames[1]}-a-DW.mrc"
    kept = gone.rename(gone.with_suffix(".away"))
    assert export(site.motion, site.ctf, "--star", "--out", tmp_path / "gone") == 0
    said = capsys.readouterr().out
    assert "2 micrographs, 1 with a CTF, 2 with motion" in said
    assert "left out: 1 x nothing but the movie, which is not there" in said
    assert f"left out: 1 x {site.made.image_path}/… is not there (e.g. {site.made.filenames[1]})" in said
    kept.rename(gone)


def checkClassic(site, tmp_path):
    """Without what this package keeps in the run folder, rows and logs tell nearly the same."""
    shutil.rmtree(site.motion / ".appion")
    assert export(site.motion, site.ctf, "--star", "--csv", "--out", tmp_path / "classic") == 0
    ours, classic = (readTable(tmp_path / name / "corrected_micrographs.star")["micrographs"]
                     for name in ("project/Appion", "classic"))  # fmt: skip
    for label in ("rlnAccumMotionTotal", "rlnAccumMotionEarly", "rlnAccumMotionLate"):
        assert classic[label].tolist() == pytest.approx(ours[label].tolist(), rel=1e-3)
    one = starfile.read(tmp_path / "classic" / classic["rlnMicrographMetadata"][2])
    other = starfile.read(tmp_path / "project" / ours["rlnMicrographMetadata"][2])
    assert one["global_shift"].equals(other["global_shift"])
    with open(tmp_path / "classic" / "exposures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(site.made.filenames)
    assert [float(row["dose"]) for row in rows] == [40] * 3
    for path in site.motion.glob("*_st_Log*"):
        path.unlink()
    assert export(site.motion, site.ctf, "--star", "--out", tmp_path / "rows") == 0
    rows = starfile.read(tmp_path / "rows" / classic["rlnMicrographMetadata"][2])["global_shift"]
    for axis in "XY":
        shifts = other["global_shift"][f"rlnMicrographShift{axis}"].tolist()
        assert rows[f"rlnMicrographShift{axis}"].tolist() == pytest.approx(shifts, abs=2e-3)


@pytest.mark.parametrize("series", [True, False], ids=["series", "classic"])
def test_queriesDoNotGrowWithExposures(anydatabase, tmp_path, series):  # noqa: ARG001
    """Read only, and as many for forty exposures as for four, whether there is a series or not."""
    counted = []
    for number in (4, 40):
        site = makeRows(tmp_path / str(number), number)
        if not series:
            shutil.rmtree(site.motion / ".appion")
            shutil.rmtree(site.ctf / ".appion")
        runs = readRuns([site.motion, site.ctf], 1)
        with recordStatements() as statements:
            micrographs = readFiles(readExposures(runs), LeftOut())
        assert len(micrographs) == number
        assert all(one.hasFit and one.optics.cs == 2.7 for one in micrographs)
        assert all(one.line.get("drift", 5.0) == 5.0 for one in micrographs)
        counted.append(len(statements))
        assert {statement.split(None, 1)[0] for statement in statements} == {"SELECT"}
    assert counted[0] == counted[1]
    assert counted[0] < 60


@contextlib.contextmanager
def recordStatements():
    """Yield a list that the statements which are run within are added to."""
    statements: list[str] = []

    def record(execute, sql, *rest):
        statements.append(sql)
        return execute(sql, *rest)

    with contextlib.ExitStack() as stack:
        for alias in ("leginondata", "projectdata", "appiondata"):
            stack.enter_context(connections[alias].execute_wrapper(record))
        yield statements


@pytest.mark.parametrize(("text", "cell"), [
    ("enn", "enn"), ("=1+1", "'=1+1"), ("@cmd", "'@cmd"), ("a\x1b[2Jb", "a\\x1b[2Jb"), (1.5, 1.5), (None, None),
])  # fmt: skip
def test_noCellIsAFormula(text, cell):
    assert formatCell(text) == cell
