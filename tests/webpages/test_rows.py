"""Every row: dated, referring only to what there is, and found again by classic's programs."""

from __future__ import annotations

import ast
import math

import pytest

from tests.webpages.filled import Filled, Row
from tests.webpages.pages import isSet, readColumns

#: Tables of which the session has rows that this package wrote.
APPION_TABLES = (
    "ApPathData", "ApAppionJobData", "ScriptProgramName", "ScriptUserName", "ScriptHostName", "ScriptProgramRun",
    "ScriptParamName", "ScriptParamValue", "ApDDStackParamsData", "ApDDStackRunData", "ApDDAlignImagePairData",
    "ApDDFrameTrajectoryData", "ApDDAlignStatsData", "ApCtfFind4ParamsData", "ApAceRunData", "ApCtfData",
)  # fmt: skip
LEGINON_TABLES = ("AcquisitionImageData", "CameraEMData", "PresetData")
TABLES = [*(("ap1", name) for name in APPION_TABLES), *(("leginondb", name) for name in LEGINON_TABLES)]

#: Columns that classic leaves out when it looks whether a row is there: its own, and names of image files.
NEVER_COMPARED = ("DEF_id", "DEF_timestamp")

everyTable = pytest.mark.parametrize(("database", "table"), TABLES, ids=[name for _, name in TABLES])


def readRows(filled: Filled, database: str, table: str) -> list[Row]:
    rows = filled.read(f"SELECT * FROM {database}.`{table}` ORDER BY DEF_id")
    assert rows, f"nothing was written to {table}"
    return rows


@everyTable
def testNoReferencePointsNowhere(filled: Filled, database: str, table: str):
    for column in (row["name"] for row in readColumns(filled, table, database)):
        if not column.startswith("REF|"):
            continue
        *module, other, _ = column.split("|")[1:]
        place = "leginondb" if module == ["leginondata"] else database
        if not readColumns(filled, other, place):
            continue  # a table of another feature
        lost = filled.read(
            f"SELECT t.DEF_id FROM {database}.`{table}` t LEFT JOIN {place}.`{other}` o ON t.`{column}` = o.DEF_id "
            f"WHERE t.`{column}` > 0 AND o.DEF_id IS NULL"
        )
        assert lost == [], column


@everyTable
def testEveryRowIsDated(filled: Filled, database: str, table: str):
    if "DEF_timestamp" not in (row["name"] for row in readColumns(filled, table, database)):
        pytest.fail(f"{table} has no DEF_timestamp")
    late = filled.read(
        f"SELECT DEF_id, DEF_timestamp FROM {database}.`{table}` "
        "WHERE DEF_timestamp IS NULL OR DEF_timestamp > now() OR DEF_timestamp < '2026-01-01'"
    )
    assert [row for row in late if row["DEF_timestamp"] is None or table not in SHIPPED] == []


#: Tables of which the schema of 2016 comes with rows of its own, of that year.
SHIPPED = ("ApPathData", "ScriptUserName")


@everyTable
def testEveryTableIsMyISAM(filled: Filled, database: str, table: str):
    row = filled.readOne(
        "SELECT engine AS engine FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        database, table,
    )  # fmt: skip
    assert row["engine"] == "MyISAM"


@everyTable
def testClassicFindsEveryRowInsteadOfWritingItAgain(filled: Filled, database: str, table: str):
    for row in readRows(filled, database, table):
        found = findAsClassic(filled, database, table, row)
        assert row["DEF_id"] in found, row
        if table not in MAY_BE_TWICE:
            assert found == [row["DEF_id"]]


#: A web page inserts paths without looking. Of an exposure that the camera has aligned, the aligned image's camera row
#: differs from its own only in having no list of frames, which classic does not compare.
MAY_BE_TWICE = ("ApPathData", "CameraEMData")


def findAsClassic(filled: Filled, database: str, table: str, row: Row) -> list[int]:
    """Return the ids of the rows that classic takes for the same as `row`, in the order in which they are stored.

    Every column has to be equal, as text written by Python; a column without value has to be NULL, unless it is one of
    a sequence or mapping, which is not mentioned then. Image files do not count.
    """
    conditions, values = ["TRUE"], []
    for column, value in row.items():
        if column in NEVER_COMPARED or column.startswith("MRC|"):
            continue
        if value is not None:
            conditions.append(f"`{column}` = %s")
            values.append(str(value))
        elif not column.startswith(("SEQ|", "SUBD|")):
            conditions.append(f"`{column}` IS NULL")
    where = " AND ".join(conditions)
    found = filled.read(f"SELECT DEF_id AS id FROM {database}.`{table}` WHERE {where}", *values)
    return [one["id"] for one in found]


def testSequencesAreListsOfPlainNumbers(filled: Filled):
    for row in readRows(filled, "ap1", "ApDDFrameTrajectoryData"):
        for name, last in (("SEQ|pos_x", row["last_x"]), ("SEQ|pos_y", row["last_y"])):
            numbers = ast.literal_eval(row[name])
            assert isinstance(numbers, list)
            assert [type(number) for number in numbers] == [float] * row["number_of_positions"]
            assert repr(numbers) == row[name]
            assert numbers[-1] == last
        assert row["reference_index"] == row["number_of_positions"] // 2
        assert row["REF|ApStackParticleData|particle"] is None
    for row in filled.read("SELECT DISTINCT `SEQ|use frames` AS frames FROM leginondb.CameraEMData"):
        assert row["frames"] is None or isinstance(ast.literal_eval(row["frames"]), tuple)


def testClassicFindsTheBestCtfOfEveryImageOfAnExposure(filled: Filled):
    """Classic's question: of the image, or of an aligned one's source and all its results, the row of most res80."""
    images = filled.readNames()
    for planned in filled.good:
        raw, plain, weighted = (
            images[name]["DEF_id"]
            for name in (planned.filename, filled.nameAligned(planned), filled.nameAligned(planned, "a-DW"))
        )
        best = findBestAsClassic(filled, plain)
        assert best is not None
        assert findBestAsClassic(filled, weighted) == best
        assert findBestAsClassic(filled, raw) is None, "its camera says that it is not aligned"


def findBestAsClassic(filled: Filled, image_id: int) -> int | None:
    """Return the id of the best row of an image as classic's programs see it."""
    aligned = filled.readOne(
        "SELECT c.`align frames` AS aligned FROM leginondb.AcquisitionImageData a "
        "JOIN leginondb.CameraEMData c ON a.`REF|CameraEMData|camera` = c.DEF_id WHERE a.DEF_id = %s",
        image_id,
    )
    source, result = (f"`REF|leginondata|AcquisitionImageData|{name}`" for name in ("source", "result"))
    ids = {image_id}
    if aligned["aligned"]:
        pairs = filled.read(
            f"SELECT {source} AS source, {result} AS result FROM ApDDAlignImagePairData WHERE {source} IN "
            f"(SELECT {source} FROM ApDDAlignImagePairData WHERE {result} = %s)",
            image_id,
        )
        ids |= {row[name] for row in pairs for name in ("source", "result")}
    rows = filled.read(
        "SELECT DEF_id, resolution_80_percent AS res80, `REF|leginondata|AcquisitionImageData|image` AS image "
        "FROM ApCtfData ORDER BY DEF_id DESC"
    )
    ranked = [(1 / row["res80"], row["DEF_id"]) for row in rows if row["image"] in ids and isSet(row["res80"])]
    return max(ranked, key=lambda one: one[0])[1] if ranked else None


def testNoNumberIsOneThatSqlCannotHold(filled: Filled):
    for table in ("ApCtfData", "ApDDAlignStatsData", "ApDDFrameTrajectoryData"):
        for row in readRows(filled, "ap1", table):
            assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
