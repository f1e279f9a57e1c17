"""`make bench` leaves no benchmark out."""

from pathlib import Path

from benchmarks.__main__ import SMALL

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def test_every_benchmark_has_a_small_form():
    assert set(SMALL) == {path.stem for path in FOLDER.glob("[a-z]*.py")}
