"""One GPU, one worker, where the scheduler counts GPUs and does not say which."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os, sys
from appion.base.workers.jobs import jobworker
jobworker.DEVICES = sys.argv[1]
jobworker.dask_setup(None)
print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("APPION_GPU"), flush=True)
sys.stdin.read()
"""


def start(folder, **environment):
    """Start a worker that takes a GPU and keeps it until its standard input ends; returns it and what it said."""
    names = ("CUDA_VISIBLE_DEVICES", "APPION_JOB_GPUS", "APPION_GPU")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    worker = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, f"{folder}/nvidia[0-9]*"], env=clean | environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    return worker, worker.stdout.readline().strip()


def test_each_worker_takes_a_gpu_that_no_other_has_and_one_too_many_ends(tmp_path):
    for number in (0, 1, 2):
        (tmp_path / f"nvidia{number}").touch()
    (tmp_path / "nvidiactl").touch()
    workers = [start(tmp_path, APPION_JOB_GPUS="1") for _ in range(4)]
    assert [said for _, said in workers[:3]] == ["0 0", "1 0", "2 0"]
    late, said = workers[3]
    assert said.startswith("no GPU of this node is free for this job: 3 there")
    assert late.wait(600) == 1
    workers[1][0].kill()  # whatever ends it
    workers[1][0].wait(600)
    workers.append(start(tmp_path, APPION_JOB_GPUS="1"))
    assert workers[-1][1] == "1 0"
    told = [start(tmp_path, CUDA_VISIBLE_DEVICES="7", APPION_JOB_GPUS="1"), start(tmp_path)]
    assert [said for _, said in told] == ["7 0", "None None"], "what the scheduler says counts"
    for worker, _ in workers + told:
        worker.communicate()
