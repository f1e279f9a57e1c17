"""What a program that calculates sets up."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os, resource
from appion.base.cli.numerics import prepareNumerics
prepareNumerics()

def count():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

b"x" * (40 << 20)  # kept from here on
before = count()
for _ in range(5):
    b"x" * (40 << 20)
print(os.environ["OMP_NUM_THREADS"], count() - before)
"""


def testWhatWasFreedIsUsedAgainAndLibrariesStartNoThreads():
    """Five arrays of 10,240 pages each, where the first one was."""
    environment = os.environ | {"OMP_NUM_THREADS": "7"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, text=True, capture_output=True, check=True)
    threads, faults = done.stdout.split()
    assert threads == "1"
    assert int(faults) < 1000
