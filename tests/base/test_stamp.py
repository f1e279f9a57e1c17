"""What made a file, as it says itself."""

import sys

from appion.base.records import stamp


def test_the_version_is_found_whatever_else_there_is_to_look_through(monkeypatch, tmp_path):
    """A process that runs as somebody else may not look into every folder that Python knows."""
    file = tmp_path / "python.zip"
    file.touch()
    expected = stamp.readVersion()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), str(file), *sys.path])
    assert stamp.readVersion.__wrapped__() == expected != "unknown"
