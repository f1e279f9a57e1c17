"""What a worker says of itself, and what the daemon makes of it."""

from __future__ import annotations

import dataclasses
import os

import pytest

from appion.base.store.lock import acquireLock
from appion.base.workers.elsewhere.look import Look, findGPU, findTroubles
from appion.base.workers.elsewhere.roll import AGAIN, STRAGGLING, Roll
from appion.base.workers.jobs import jobworker


@pytest.fixture
def look(tmp_path):
    """What a worker sees that has everything."""
    for folder in ("run/.appion/journal", "frames"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "program").touch(mode=0o755)
    with acquireLock(tmp_path / "run") as lock:
        yield Look(lock.belonging, (str(tmp_path / "frames"),), (str(tmp_path / "run/.appion/scratch"),),
                   str(tmp_path / "program"))  # fmt: skip


def listFiles(folder):
    return sorted(str(path) for path in folder.rglob("*"))


def test_a_worker_that_sees_all_writes_nothing(look, tmp_path):
    before = listFiles(tmp_path)
    assert findTroubles(look) == ()
    assert listFiles(tmp_path) == before


def test_what_a_worker_does_not_see_is_named(look, tmp_path):
    (tmp_path / "frames").rmdir()
    (tmp_path / "program").chmod(0o644)
    other = dataclasses.replace(look.belonging, word="another")
    folder, program = findTroubles(look)
    assert folder == f"it cannot see the folder {tmp_path}/frames: No such file or directory"
    assert program == f"the program {tmp_path}/program may not be run"
    assert findTroubles(dataclasses.replace(look, belonging=other))[0].endswith("another folder is in its place")
    assert findTroubles(dataclasses.replace(look, version="0")) == (
        f"it has appion {look.version}, and the daemon has 0",
    )


def test_gpu_of_a_worker(monkeypatch, tmp_path):
    monkeypatch.setattr(jobworker, "DEVICES", f"{tmp_path}/nvidia[0-9]*")
    for name in ("APPION_GPU", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.setenv(name, "")
    assert findGPU() == "it may use no GPU: CUDA_VISIBLE_DEVICES is ''"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,2")
    assert findGPU() == ""
    assert os.environ["APPION_GPU"] == "0"
    monkeypatch.setenv("APPION_GPU", "")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert findGPU().startswith("no GPU is free: 0 are there")
    (tmp_path / "nvidia5").touch()  # a container shows its own alone, which is the first to CUDA
    assert findGPU() == ""
    assert (os.environ["APPION_GPU"], os.environ["CUDA_VISIBLE_DEVICES"]) == ("0", "0")
    assert findGPU() == ""


def test_roll():
    roll, fit = Roll(), {"resources": {"badge": 1.0}, "metrics": {"task_counts": {"executing": 1}}}
    roll.update({"a": fit, "b": {"resources": {}}, "c": {"resources": {"badge": 0}}}, "badge", 0.0)
    assert (roll.count, roll.fit, roll.listStrangers(0.0)) == (3, {"a": True}, ["b", "c"])
    assert roll.note("b", ("host", ("it is blind",)), 0.0) == "host (b): it is blind"
    assert roll.note("b", ("host", ("it is blind",)), 1.0) == ""  # no news
    assert "ModuleNotFoundError: no appion" in roll.note("c", ModuleNotFoundError("no appion"), 1.0)
    (line,) = roll.describe()
    assert line.startswith("2 of 3 workers are not used: host (b): it is blind, c (c): ")
    assert roll.listStrangers(2.0) == []
    assert roll.listStrangers(1.0 + AGAIN) == ["b", "c"]
    assert roll.note("b", ("host", ()), 100.0) == ""
    assert roll.fit == {"a": True, "b": False}
    assert roll.findOn({"host"}) == ["b"]
    roll.update({}, "badge", 101.0)
    assert (roll.fit, roll.describe(), roll.empty) == ({}, [], 101.0)
    assert roll.listLive(101.0 + STRAGGLING) == set()
