"""What is done with the jobs of a daemon that was killed, when another is there and when none is."""

from __future__ import annotations

import asyncio

import pytest

from appion.base.store.lock import acquireLock
from appion.base.workers.jobs import leftover
from appion.base.workers.jobs.adapters import SLURM


@pytest.fixture
def jobs(slurmcluster, tmp_path, monkeypatch):
    """Two jobs of a run and one of somebody, all waiting."""
    for name, value in slurmcluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(leftover, "PAUSE", 0.1)
    slurmcluster.run("scontrol", "update", f"NodeName={','.join(slurmcluster.nodes)}", "State=DRAIN", "Reason=full")
    labels = SLURM.constructName(tmp_path), SLURM.constructName(tmp_path), "somebody"
    return [slurmcluster.submit("sleep 300", f"--job-name={label}") for label in labels]


def cancel(folder, *numbers):
    asyncio.run(leftover.main("slurm", str(folder), *map(str, numbers)))


def testJobsThatNobodyToldOfAreCancelledIfNoDaemonIsThere(slurmcluster, jobs, tmp_path):
    acquireLock(tmp_path).release()
    first, _, other = jobs
    cancel(tmp_path, first)
    assert set(slurmcluster.listJobs()) == {other}


def testTheNextDaemonsJobsAreLeftAlone(slurmcluster, jobs, tmp_path):
    first, second, other = jobs
    with acquireLock(tmp_path):
        cancel(tmp_path, first, other)
    assert set(slurmcluster.listJobs()) == {second, other}


def testWhereItCannotBeKnownWhetherADaemonIsThereOnlyWhatWasToldIsCancelled(slurmcluster, jobs, tmp_path):
    first, second, other = jobs
    cancel(tmp_path, first)
    assert set(slurmcluster.listJobs()) == {second, other}
