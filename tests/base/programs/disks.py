"""A small disk of one's own, for tests in which it is full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mountDisk(folder: Path, megabytes: int = 24) -> Iterator[Path]:
    """Mount an empty disk of this size on a new folder. Whoever may not mount skips the test; in CI it fails."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no disk can be mounted: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fillDisk(folder: Path, left: int = 0) -> Path:
    """Fill a disk with a file but for so many bytes; return the file."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(65536)) == 65536:
            pass
    os.truncate(filler, filler.stat().st_size - left)
    return filler
