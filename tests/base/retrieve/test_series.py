"""The series of a run: lines come back as they were written, whatever a killed writer left among them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.calc.numbers import calcMedians, calcOrigin, calcSummary, constructLine, describeMedians
from appion.base.records.runfolder import eventsPath, seriesPath
from appion.base.records.series import COLUMNS, CTF, HEADLINE, MOTION, TAKEN
from appion.base.records.task import Origin, Taken
from appion.base.retrieve.series import calcColumns, readLast, readSeries
from appion.base.store.events import saveEvents
from appion.base.store.series import saveSeries


@pytest.fixture
def rundir(tmp_path):
    (tmp_path / ".appion").mkdir()
    return tmp_path


def test_every_column_is_there_once_and_the_headline_is_of_them():
    assert len(COLUMNS) == len(TAKEN) + len(MOTION) + len(CTF)
    assert {name for name in HEADLINE if COLUMNS[name].digits is not None} == set(HEADLINE)


def test_what_is_not_known_is_left_out_and_clocks_that_disagree_give_no_time():
    fields = {"drift": math.nan, "dose": math.inf, "counts": None, "preset": "", "frames": 40, "defocus": 15123.456789}
    line = constructLine(7, "a", fields | {"exposed": 1700000000.12345}, 1700000060.5)
    assert line == {"image": 7, "name": "a", "frames": 40, "defocus": 15123.5, "exposed": 1700000000.123,
                    "stored": 1700000060.5, "seconds_to_result": 60.4}  # fmt: skip
    assert "seconds_to_result" not in constructLine(7, "a", {"exposed": 1700000061.0}, 1700000060.5)
    taken = Taken(1.7e9, "enn", 3, None, (1.5, -2.0, None), 0.25, (0.1, None), 15000.0)
    found = constructLine(1, "", calcOrigin(Origin(1, "a", 2, "/r", taken=taken)), 1.7e9)
    assert found == {"image": 1, "name": "a", "exposed": 1.7e9, "preset": "enn", "target": 3, "stage_x": 1.5,
                     "stage_y": -2.0, "stage_tilt": 0.25, "image_shift_x": 0.1, "stored": 1.7e9,
                     "seconds_to_result": 0.0}  # fmt: skip


def test_no_number_that_JSON_has_not_gets_into_the_file(rundir):
    with pytest.raises(ValueError, match="JSON"):
        saveSeries(rundir, [{"image": 1, "drift": math.nan}])
    assert not seriesPath(rundir).exists()
    saveSeries(rundir, [{"image": 1, "name": "\x1b[2J\x7f\u202e\udcff\n"}])
    assert seriesPath(rundir).read_bytes().isascii()
    assert not set(seriesPath(rundir).read_bytes()) & {0x1B, 0x7F}
    assert readSeries(rundir).lines[1]["name"] == "\x1b[2J\x7f\u202e\udcff\n"


def test_the_last_line_of_an_image_counts_and_comes_last(rundir):
    saveSeries(rundir, [{"image": 1, "drift": 1.0}, {"image": 2, "drift": 2.0}])
    saveSeries(rundir, [{"image": 1, "frames": 3, "of_the_future": [1]}])
    series = readSeries(rundir)
    assert list(series.lines.items()) == [
        (2, {"image": 2, "drift": 2.0}), (1, {"image": 1, "frames": 3, "of_the_future": [1]})
    ]  # fmt: skip
    assert calcColumns(series.lines.values(), ("image", "drift")) == {"image": [2, 1], "drift": [2.0, None]}
    assert [line["image"] for line in readLast(rundir, 1)] == [1]
    assert readSeries(rundir / "nothing").lines == {}
    assert readLast(rundir / "nothing", 20) == []


def test_a_torn_line_is_read_when_it_is_whole_and_passed_over_when_it_never_will_be(rundir):
    saveSeries(rundir, [{"image": 1}])
    text = json.dumps({"image": 2, "drift": 2.5}) + "\n"
    with open(seriesPath(rundir), "a") as file:
        file.write(text[:9])
    first = readSeries(rundir)
    assert list(first.lines) == [1]
    with open(seriesPath(rundir), "a") as file:
        file.write(text[9:])
    second = readSeries(rundir, first)
    assert second.lines == {2: {"image": 2, "drift": 2.5}}
    with open(seriesPath(rundir), "a") as file:
        file.write('{"image": 3, "dri')
    third = readSeries(rundir, second)
    assert third.lines == {}
    saveSeries(rundir, [{"image": 4}])
    assert list(readSeries(rundir, third).lines) == [4]
    assert list(readSeries(rundir).lines) == [1, 2, 4]


def test_another_file_in_its_place_is_read_from_its_beginning(rundir):
    saveSeries(rundir, [{"image": 1}, {"image": 2}])
    before = readSeries(rundir)
    seriesPath(rundir).rename(rundir / "away")
    saveSeries(rundir, [{"image": 3}, {"image": 4}, {"image": 5}])
    assert list(readSeries(rundir, before).lines) == [3, 4, 5]
    seriesPath(rundir).write_text("")
    assert readSeries(rundir, before).lines == {}


def test_a_run_without_a_series_is_read_from_its_events(rundir):
    saveEvents(rundir, [
        {"time": 5.0, "what": "stored", "image": 1, "name": "a", "store_seconds": 0.1, "tilt_angle": 10.0},
        {"time": 6.0, "what": "computed", "image": 2}, {"time": 7.0, "what": "kept", "image": 2, "files": []},
    ])  # fmt: skip
    assert list(readSeries(rundir).lines.values()) == [
        {"image": 1, "name": "a", "tilt_angle": 10.0, "stored": 5.0}, {"image": 2, "stored": 7.0}
    ]  # fmt: skip
    assert eventsPath(rundir).exists()


LINES = st.lists(st.fixed_dictionaries(
    {"image": st.integers(1, 9)}, optional={"drift": st.floats(0, 1e4), "name": st.sampled_from("aé\n\x7f")}
))  # fmt: skip


@given(LINES, st.data())
def test_pieces_read_one_after_another_are_the_whole(tmp_path_factory, lines, data):
    """Cut anywhere, as a reader sees a file that is being written."""
    rundir = tmp_path_factory.mktemp("run")
    (rundir / ".appion").mkdir()
    saveSeries(rundir, lines)
    if not lines:
        return
    text = seriesPath(rundir).read_bytes()
    with open(seriesPath(rundir), "r+b") as file:
        file.truncate(0)
        found, series, done = {}, None, 0
        for cut in [*sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4))), len(text)]:
            file.write(text[done:cut])
            file.flush()
            done = max(done, cut)
            series = readSeries(rundir, series)
            for image_id, line in series.lines.items():
                found.pop(image_id, None)
                found[image_id] = line
    assert list(found.items()) == list(readSeries(rundir).lines.items())


def test_medians_in_words():
    lines = [{"image": number, "drift": float(number), "stage_x": 1.0, "name": "a"} for number in range(30)]
    lines[-1]["ctf_resolution"] = 4.06
    summary = calcSummary(lines)
    assert summary == {"last": lines[-1], "last_20": {"drift": 19.5, "ctf_resolution": 4.06}}
    assert describeMedians(summary["last_20"]) == "drift 19.5 Å, resolution of the fit 4.1 Å"
    assert calcSummary([]) == {"last": {}, "last_20": {}}
    assert describeMedians(calcMedians([])) == ""
