"""Real workers on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure
from appion.base.workers.cluster import calcWorkers, constructCluster, redirectDaskLogs
from appion.base.workers.pool import BUNCH, Pool
from appion.base.workers.scaling import Demand
from appion.base.workers.task import Outcome, runTask


def tell(params):
    """What a worker finds in its environment; some params make it misbehave."""
    time.sleep(0.2)  # so that both workers get something to do
    if params == "die":
        os.kill(os.getpid(), 9)
    if params == "hang":
        time.sleep(300)
    if params == os.environ.get("APPION_WORKER"):
        raise InfrastructureFailure("the GPU is busy")
    if params == "fail":
        raise ImageFailure("broken", "mend it")
    return {name: os.environ.get(name) for name in ("APPION_GPU", "APPION_WORKER", "OMP_NUM_THREADS")}


@pytest.fixture
def pool(tmp_path):
    """Two workers with GPUs 0 and 3."""
    with redirectDaskLogs(tmp_path), dask.config.set({"appion.threads": 5}):
        pool = Pool(lambda: constructCluster((0, 3)), 2, "test")
        yield pool
        pool.close()
        pool.close()


def collect(pool, number):
    outcomes: dict[int, Outcome] = {}
    deadline = time.monotonic() + 600
    while len(outcomes) < number:
        assert time.monotonic() < deadline
        outcomes.update(pool.collect(1.0))
    return outcomes


def test_workers_have_gpus_survive_death_and_scheduler_loss(pool, capfd):
    assert pool.countWorkers() == 0
    pool.start()
    assert pool.countWorkers() == 2
    found = set()
    while len(found) < 2:  # either may be quicker than the other
        for image_id in range(4):
            pool.submit(image_id, 1, tell, None)
        found |= {tuple(outcome.result.values()) for outcome in collect(pool, 4).values()}
    assert found == {("0", "worker0", "5"), ("3", "worker1", "5")}

    for image_id in range(100, 100 + BUNCH + 3):
        pool.submit(image_id, 1, len, "four" if image_id > 100 else None)
    futures = {image_id: flight.future for image_id, flight in pool.flights.items()}
    deadline = time.monotonic() + 600
    while pool._completed.qsize() < len(futures):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    came = [pool.collect(5), pool.collect(5)]
    assert [len(some) for some in came] == [BUNCH, 3]
    outcomes = dict(came[0] + came[1])
    assert isinstance(outcomes.pop(100).failure, ImageFailure)
    assert {outcome.result for outcome in outcomes.values()} == {4}
    while pool._cluster.scheduler.tasks:
        assert time.monotonic() < deadline, "futures are released"
        time.sleep(0.05)

    pool.submit(5, 1, tell, "fail")
    failure = collect(pool, 1)[5].failure
    assert isinstance(failure, ImageFailure)
    assert failure.host == os.uname().nodename

    failures = {}
    while not failures:
        for image_id in range(20, 24):
            pool.submit(image_id, 1, tell, "worker1")
        failures = {image_id: outcome.failure for image_id, outcome in collect(pool, 4).items() if outcome.failure}
    assert {type(failure) for failure in failures.values()} == {InfrastructureFailure}
    for image_id in failures:  # one at a time: from a busy worker the other would take it over
        pool.submit(image_id, 2, tell, "worker1")
        assert collect(pool, 1)[image_id].result["APPION_WORKER"] == "worker0"

    pool.submit(6, 1, tell, "die")
    assert isinstance(collect(pool, 1)[6].failure, InfrastructureFailure)
    pool.submit(6, 2, tell, None)
    assert collect(pool, 1)[6].result

    pool.submit(7, 1, tell, "hang")
    deadline = time.monotonic() + 600
    while not pool.takeOverdue(0.2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert pool.flights == {}
    while pool.countWorkers() < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    pool.submit(8, 1, tell, None)
    pool._cluster.sync(pool._cluster.scheduler.close)
    assert not pool.isAlive()
    assert pool.abandon() in ([8], [])
    pool.close()
    pool.start()
    pool.submit(8, 1, tell, None)
    assert collect(pool, 1)[8].result
    assert capfd.readouterr().err == ""


def awaitFile(params):
    """Notes that it has begun, and ends when there is a file."""
    folder, number = params
    (folder / f"begun{number}").touch()
    while not (folder / "end").exists():
        time.sleep(0.02)
    return number


def test_what_no_worker_has_begun_is_taken_back(pool, tmp_path):
    assert pool.recall() == []
    pool.start()
    for number in range(6):
        pool.submit(number, 1, awaitFile, (tmp_path, number))
    deadline = time.monotonic() + 600
    while len(list(tmp_path.glob("begun*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    back = pool.recall()
    assert len(back) == 4
    assert pool.flights.keys() == set(range(6)) - set(back)
    (tmp_path / "end").touch()
    assert {outcome.result for outcome in collect(pool, 2).values()} == set(range(6)) - set(back)
    assert len(list(tmp_path.glob("begun*"))) == 2
    assert pool.recall() == []
    assert pool.collect(0.1) == []


def test_number_of_workers():
    assert calcWorkers((0, 1)) == 2
    assert calcWorkers((), 3) == 3
    assert calcWorkers() >= 1
    with dask.config.set({"appion.workers": 4}):
        assert calcWorkers() == 4
    with pytest.raises(ConfigurationFailure, match="named twice"):
        calcWorkers((1, 1))
    with pytest.raises(ConfigurationFailure, match="0 workers"):
        calcWorkers((), 0)


def test_unknown_cluster_is_an_error_with_the_choices():
    with dask.config.set({"appion.cluster": "moab"}), pytest.raises(ConfigurationFailure, match="one of: local"):
        constructCluster()


def test_what_is_in_the_journal_is_not_computed_again(tmp_path):
    record = tmp_path / "7.json"
    assert runTask(tell, "well", str(record)).result
    record.write_text("{}")
    outcome = runTask(tell, "fail", str(record))
    assert outcome.result is None
    assert outcome.failure is None


def test_a_cluster_whose_workers_are_gone_for_good_is_known_to_be_broken(pool, monkeypatch):
    pool.start()
    pool.submit(1, 1, tell, None)
    collect(pool, 1)
    pool.submit(2, 1, tell, "hang")
    assert not pool.isBroken()
    for nanny in list(pool._cluster.workers.values()):  # as when a nanny gives up
        pool._cluster.sync(nanny.close)
    monkeypatch.setattr("appion.base.workers.pool.WORKERLESS", 0.2)
    deadline = time.monotonic() + 600
    while not pool.isBroken():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    pool.close()
    pool.start()
    pool.submit(3, 1, tell, None)
    assert collect(pool, 1)[3].failure is None


def test_a_worker_that_dies_again_and_again_is_restarted_each_time(pool):
    """Also when it is not there at the moment at which Dask would give it up."""
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1 ms"}):
        pool.start()
        for image_id in range(3):
            pool.submit(image_id, 1, tell, "die")
            assert isinstance(collect(pool, 1)[image_id].failure, InfrastructureFailure)
        deadline = time.monotonic() + 600
        while pool.countWorkers() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_nanny_that_gave_up_is_replaced(pool, monkeypatch):
    monkeypatch.setattr("appion.base.workers.cluster.PATIENCE", 0.2)
    pool.start()
    cluster = pool._cluster
    old = cluster.workers[0]
    cluster.sync(old.close)
    deadline = time.monotonic() + 600
    while cluster.workers.get(0, old) is old:
        assert time.monotonic() < deadline
        pool.tell(Demand())
        time.sleep(0.05)
    while pool.countWorkers() < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pool.submit(1, 1, tell, None)
    assert collect(pool, 1)[1].result


def test_a_pool_that_rests_has_no_process_and_works_again(pool):
    pool.start()
    nannies = list(pool._cluster.workers.values())
    pool.submit(1, 1, tell, "")
    assert not pool.rest()  # something is out
    outcomes = []
    while not outcomes:
        outcomes = pool.collect(5)
    assert pool.rest()
    assert not any(nanny.is_alive() for nanny in nannies)
    assert (pool.isAlive(), pool.countWorkers(), pool.isBroken()) == (False, 0, False)
    assert pool.describe() == {"planned": 2, "in_sight": 0, "busy": 0, "resting": True}
    assert not pool.rest()
    pool.start()
    pool.submit(2, 1, tell, "")
    assert "resting" not in pool.describe()
    outcomes = []
    while not outcomes:
        outcomes = pool.collect(5)
    assert outcomes[0][1].result


def test_dask_watches_less_unless_the_site_wants_it(monkeypatch):
    code = (
        "import appion.base.workers.cluster, dask.config as config\n"
        "keys = ['admin.tick.interval', 'admin.system-monitor.interval', 'worker.profile.enabled']\n"
        "print(*(config.get(f'distributed.{key}') for key in keys))"
    )
    monkeypatch.delenv("DASK_CONFIG", raising=False)
    site = {"DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "40ms"}
    for own, expected in (({}, "500ms 5s False"), (site, "40ms 5s False")):
        env = {**os.environ, **own}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
        assert done.stdout.strip() == expected, done.stderr
