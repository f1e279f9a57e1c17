"""The whole-frame shifts in the programs' logs."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.failures import ImageFailure
from appion.motioncorrection.calc.external import parseMotionCorLog
from appion.motioncorrection.calc.internal.trajectory import calcPositions, constructShiftLog

DATA = Path(__file__).parent / "data"

values = st.floats(-999, 999).map(lambda value: round(value, 3))
tables = st.lists(st.tuples(values, values), min_size=1, max_size=60)
junk = st.sampled_from(
    ["", "== CUDA ==", "Full-frame alignment has been started.", "Iteration  1  Error:     7.619",
     "-Patch           5  5  0", "  1    0     1.25      3.23", "salloc: Granted job allocation 7",
     "Mag stretch: 1.000  -0.000", "\x1b[32mok\x1b[0m"]
)
junks = st.lists(junk, max_size=8)


def writeDotted(shifts):
    rows = [f"...... Frame ({n:3d}) shift: {x:9.3f}  {y:9.3f}" for n, (x, y) in enumerate(shifts, 1)]
    return ["Full-frame alignment shift", *rows, ""]


def writeTable(shifts):
    rows = [f"{n:5d}  {x:9.3f}  {y:9.3f}" for n, (x, y) in enumerate(shifts, 1)]
    return ["Full-frame alignment", "  Frame   x Shift   y Shift", *rows, ""]


def test_recordedLogs():
    old = parseMotionCorLog((DATA / "motioncor2-1.5.0-eer.txt").read_text())
    new = parseMotionCorLog((DATA / "motioncor2-1.6.4-eer.txt").read_text())
    assert len(old) == len(new) == 16
    assert old[0] == (2.46, 8.51)
    assert old[8] == (0, 0)
    assert new[0] == (0, 0)
    assert new[-1] == (-3.79, -13.12)
    # the same movie: only the frame that is the zero differs
    for one, other in zip(calcPositions(old, 1), calcPositions(new, 1), strict=True):
        assert one == pytest.approx(other, abs=0.8)


@settings(deadline=None, max_examples=60)
@given(tables, st.sampled_from([writeDotted, writeTable]), junks, junks, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_roundTrip(shifts, write, before, after, end, coloured):
    lines = write(shifts)
    if coloured:
        lines[0] = f"\x1b[1;31m{lines[0]}\x1b[0m"
    lines.insert(min(3, len(lines) - 1), "salloc: job 7 queued and waiting for resources")
    assert parseMotionCorLog(end.join([*before, *lines, *after])) == shifts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no table"),
        ("Full-frame alignment has been started.\n...... Frame (  1) shift: 1.0 2.0\n", "no table"),
        ("Full-frame alignment\n    1   0.0   0.0\n", "no table"),
        ("Align patch 1  24 left\n  1    0     1.25      3.23\n", "no table"),
        ("Full-frame alignment shift\n...... Frame (  1) shift: 1 2\n...... Frame (  3) shift: 1 2\n", "frame 3"),
        ("Full-frame alignment shift\n...... Frame (  1) shift: nan 2\n", "not a finite number"),
        ("Full-frame alignment shift\n...... Frame (  1) shift: 1 2\n...... Frame (  2) shift: 1", "after frame 1"),
        ("Full-frame alignment shift\n...... Frame (  1) shift: 1 2\n...... Fr", "after frame 1"),
        ("Full-frame alignment shift\n...... Frame (  1) shift: ****** 2\n", "after frame 0"),
        ("Full-frame alignment\n  Frame   x Shift   y Shift\n    1   0.0   0.0\n    2   0.1\n", "after frame 1"),
        ("Full-frame alignment\n  Frame   x Shift   y Shift\n    1   0.0   0.0\n    2", "after frame 1"),
    ],
)
def test_unreadableLogsSayWhatWasLookedFor(text, reason):
    with pytest.raises(ImageFailure, match=reason) as caught:
        parseMotionCorLog(text)
    if reason == "no table":
        assert "x Shift" in caught.value.remedy


@pytest.mark.parametrize("write", [writeDotted, writeTable])
@pytest.mark.parametrize("line", ["Warning: X server closed", "", "libgomp: thread creation failed\n  see above"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_aForeignLineInTheTableIsNoEndOfIt(write, line, after):
    lines = write([(0.0, 0.0), (1.5, -2.0), (2.5, -3.0), (3.5, -4.0)])
    at = next(i for i, row in enumerate(lines) if "0.000" in row) + after
    with pytest.raises(ImageFailure, match=f"goes on with frame {after + 1} after another line"):
        parseMotionCorLog("\n".join([*lines[:at], line, *lines[at:]]))
    with pytest.raises(ImageFailure, match="table of whole-frame shifts"):  # what replaces a row
        parseMotionCorLog("\n".join([*lines[:at - 1], line, *lines[at:]]))


def test_aForeignTextInFrontOfARow():
    lines = writeDotted([(0.0, 0.0), (1.5, -2.0), (2.5, -3.0)])
    lines[2] = f"slurm_load_jobs error {lines[2]}"
    with pytest.raises(ImageFailure, match="goes on with frame 2"):
        parseMotionCorLog("\n".join(lines))


def test_shiftLogOfRecordedRun():
    """Text from a recorded run of classic on the same log: R = 16, bin 1."""
    shifts = parseMotionCorLog((DATA / "motioncor2-1.5.0-eer.txt").read_text())
    lines = constructShiftLog(calcPositions(shifts, 1.0), 16, 0).splitlines()
    assert lines[0] == "Sum Frame #000 - #016 (Reference Frame #008):"
    assert lines[1] == "......Add Frame #000 with xy shift: -2.46000 -8.51000"
    assert lines[9] == "......Add Frame #008 with xy shift: -0.00000 -0.00000"
    assert lines[16] == "......Add Frame #015 with xy shift: 1.32000 4.60000"
    assert len(lines) == 17


@settings(deadline=None, max_examples=60)
@given(tables, values, values, st.sampled_from([1.0, 2.0, 4.0]))
def test_positionsDoNotDependOnTheReferenceFrame(shifts, x, y, factor):
    moved = [(a + x, b + y) for a, b in shifts]
    for one, other in zip(calcPositions(shifts, factor), calcPositions(moved, factor), strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert calcPositions(shifts, factor)[len(shifts) // 2] == (0, 0)
