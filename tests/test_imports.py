"""What a daemon loads: nothing that only workers need, which would cost each of them memory while it waits."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numba", "scipy", "matplotlib", "tifffile", "imagecodecs", "PIL", "pandas", "bokeh", "h5py"}


@pytest.mark.parametrize("module", ["appion.motioncorrection.cli.main", "appion.ctfestimation.cli.main"])
def test_a_daemon_loads_nothing_that_only_workers_need(module):
    code = f"import sys, {module}, pymysql, dask_jobqueue; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert not set(done.stdout.split()) & HEAVY
