"""The pool on a real scheduler of another process."""

from __future__ import annotations

import errno
import os

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.store.lock import acquireLock
from appion.base.workers.cluster import constructCluster, redirectDaskLogs
from appion.base.workers.elsewhere.address import findScheduler
from appion.base.workers.elsewhere.look import Look
from appion.base.workers.elsewhere.scheduler import dial, explainLoss
from appion.base.workers.pool import Pool
from appion.base.workers.scaling import Demand
from appion.doctor.finding import runCheck
from appion.doctor.slurm import checkSlurm, nameScheduler
from tests.base.workers.test_cluster import awaitFile, collect
from tests.services.daskscheduler import DaskScheduler, saveCertificate
from tests.services.waiting import waitFor


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One scheduler for all tests here, that begin without workers."""
    service = DaskScheduler(tmp_path_factory.mktemp("dask"))
    service.startScheduler()
    yield service
    service.stop()


@pytest.fixture
def bench(service, tmp_path):
    """Makes pools of runs in folders of different names; their scheduler has no worker yet."""
    pools, locks = [], []

    def construct(name):
        rundir = tmp_path / name
        (rundir / ".appion" / "journal").mkdir(parents=True)
        locks.append(acquireLock(rundir))
        look = Look(locks[-1].belonging, folders=(str(tmp_path / name),))
        pools.append(Pool(lambda: constructCluster((), None, rundir, look), 1, "test", own=False))
        return pools[-1]

    settings = {"appion.cluster": service.address, "appion.elsewhere.poll": 0.1, **service.settings}
    with redirectDaskLogs(tmp_path / "logs"), dask.config.set(settings):
        yield construct
        for pool in pools:
            pool.close(at_once=True)
        for lock in locks:
            lock.release()
    service.stopWorkers()


def openPool(pool):
    waitFor(lambda: pool.prepare(True))
    pool.start()
    return pool


def test_one_exposure_at_a_time_of_all_runs_however_many_threads_a_worker_has(service, bench, tmp_path):
    service.startWorkers(1, "--nthreads", "4")
    pools = [openPool(bench("one")), openPool(bench("other"))]
    for pool in pools:
        for number in (1, 2):  # the same names in both runs
            folder = tmp_path / f"{pools.index(pool)}"
            folder.mkdir(exist_ok=True)
            pool.submit(number, 1, awaitFile, (folder, number))
    waitFor(lambda: list(tmp_path.glob("?/begun*")))
    waitFor(lambda: pools[0].describe()["busy"] == 1)
    assert len(list(tmp_path.glob("?/begun*"))) == 1
    for folder in ("0", "1"):
        (tmp_path / folder / "end").touch()
    for pool in pools:
        assert {number: outcome.result for number, outcome in collect(pool, 2).items()} == {1: 1, 2: 2}
    assert pools[0].describe()["in_sight"] == 1
    for pool in pools:
        pool.close()
    assert service.describeLeft() == []


def test_workers_are_called_for_and_those_that_come_later_are_looked_at(service, bench):
    pool = bench("run")
    pool.prepare(True)
    pool.tell(Demand(backlog=3))
    with service.connect() as client:
        waitFor(lambda: client.sync(client.scheduler.adaptive_target) == 1)  # what clusters that scale go by
    assert not pool.prepare(True)
    service.startWorkers(1)
    openPool(pool)
    service.startWorkers(1)
    waitFor(lambda: pool.countWorkers() == 2)
    for number in range(4):
        pool.submit(number, 1, abs, -number)
    assert {number: outcome.result for number, outcome in collect(pool, 4).items()} == {0: 0, 1: 1, 2: 2, 3: 3}


def test_what_was_handed_out_while_no_worker_was_fit_is_taken_by_the_next(service, bench):
    service.startWorkers(1)
    pool = openPool(bench("run"))
    service.stopWorkers()
    pool.submit(1, 1, abs, -1)  # nobody has seen yet that it is gone
    service.startWorkers(1)
    assert collect(pool, 1)[1].result == 1


def test_what_has_not_begun_is_taken_back_and_workers_go_on_for_others(service, bench, tmp_path):
    service.startWorkers(1)
    pool, other = openPool(bench("run")), openPool(bench("other"))
    for number in range(3):
        pool.submit(number, 1, awaitFile, (tmp_path, number))
    waitFor(lambda: list(tmp_path.glob("begun*")))
    assert len(pool.recall()) == 2
    other.submit(7, 1, abs, -7)
    (tmp_path / "end").touch()
    assert len(collect(pool, 1)) == 1
    assert collect(other, 1)[7].result == 7
    assert len(list(tmp_path.glob("begun*"))) == 1


def test_what_does_not_come_back_is_given_up_and_its_worker_left_alone(service, bench, tmp_path):
    service.startWorkers(1)
    pool = openPool(bench("run"))
    before = set(service.askWorkers())
    pool.submit(1, 1, awaitFile, (tmp_path, 1))
    pool.submit(2, 1, abs, -2)
    waitFor(lambda: list(tmp_path.glob("begun*")))
    waitFor(lambda: set(pool.takeOverdue(0.2)) == {1, 2} or not pool.flights)
    assert not pool.flights
    (tmp_path / "end").touch()
    pool.submit(3, 1, abs, -3)
    assert collect(pool, 1)[3].result == 3
    assert set(service.askWorkers()) == before


def test_what_a_worker_holds_that_is_not_fit_any_more_comes_back(service, bench, tmp_path):
    service.startWorkers(1)
    pool = openPool(bench("run"))
    for number in (1, 2):
        pool.submit(number, 1, awaitFile, (tmp_path, number))
    waitFor(lambda: list(tmp_path.glob("begun*")))
    (tmp_path / "run").rename(tmp_path / "away")
    pool._cluster.noteOutcome(os.uname().nodename, "the run folder is away")
    outcomes = collect(pool, 2).values()
    assert [bool(outcome.refused) for outcome in outcomes] == [True, True]
    assert not pool.prepare(True)
    (trouble,) = pool.describe()["trouble"]
    assert "the run folder" in trouble
    (tmp_path / "away").rename(tmp_path / "run")
    service.startWorkers(1)
    openPool(pool).submit(3, 1, abs, -3)
    assert collect(pool, 1)[3].result == 3
    (tmp_path / "end").touch()


def test_a_pool_that_rests_lets_go_and_finds_its_workers_again(service, bench):
    service.startWorkers(1)
    pool = openPool(bench("run"))
    assert pool.rest()
    assert not pool.prepare(False)
    assert pool.describe() == {"planned": 1, "in_sight": 0, "busy": 0, "resting": True}
    assert service.describeLeft() == []
    openPool(pool).submit(1, 1, abs, -1)
    assert collect(pool, 1)[1].result == 1


def test_a_worker_without_this_package_is_named(service, bench):
    service.startWorkers(1, "--preload", str(service.folder / "preload.py"))
    pool = bench("run")
    waitFor(service.askWorkers)
    with pytest.raises(ConfigurationFailure, match=r"can be used: tls:.*No module named"):
        waitFor(lambda: pool.prepare(True))
    assert pool.describe()["trouble"][0].startswith("1 of 1 workers are not used: ")


def test_why_there_is_no_connection(service, tmp_path):
    authority = {name: file for name, file in service.settings.items() if name.endswith("ca-file")}
    for settings in (saveCertificate(tmp_path / "forged"), saveCertificate(tmp_path / "unsigned") | authority):
        with dask.config.set(settings), pytest.raises(OSError, match="SSL") as caught:
            dial(*findScheduler(service.address))
        failure = explainLoss(caught.value)
        assert isinstance(failure, ConfigurationFailure)
        assert "each other's certificates" in failure.reason
        assert "client.key" in failure.remedy
    with dask.config.set(service.settings), pytest.raises(ConnectionRefusedError) as caught:
        dial(*findScheduler("tls://127.0.0.1:1"))
    assert explainLoss(caught.value).reason == "[Errno 111] Connection refused"
    assert explainLoss(TimeoutError()).reason == "it does not answer"
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    refused.__cause__ = TimeoutError()
    assert explainLoss(refused).reason == "[Errno 111] Connection refused"


def test_doctor_asks_the_scheduler_and_its_workers(service, bench):  # noqa: ARG001
    def ask(**settings):
        with dask.config.set({f"appion.{name}": value for name, value in settings.items()}):
            (finding,) = runCheck(nameScheduler(), checkSlurm)
            return str(finding)

    assert "has no worker now" in ask()
    service.startWorkers(1)
    waitFor(service.askWorkers)
    assert "has 1 workers" in ask()
    assert "cannot be asked: [Errno 111] Connection refused" in ask(cluster="tls://127.0.0.1:1")
    assert "write tls://HOST:PORT" in ask(cluster="tls://127.0.0.1")
