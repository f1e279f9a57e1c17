"""The pool on pods of a stand-in for Kubernetes."""

from __future__ import annotations

import os
import signal

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.store.lock import acquireLock
from appion.base.workers.cluster import constructCluster, redirectDaskLogs
from appion.base.workers.elsewhere.look import Look
from appion.base.workers.kubernetes import keeper
from appion.base.workers.pool import Pool
from appion.base.workers.scaling import Demand
from appion.doctor.finding import runCheck
from appion.doctor.slurm import checkSlurm, nameScheduler
from tests.base.workers.test_cluster import awaitFile, collect
from tests.services.kubernetes import Kubernetes
from tests.services.waiting import waitFor

#: What is needed so many workers for, each exposure a minute.
SCALING = {"appion.jobs.latency": 60, "appion.jobs.hold": 0.5, "appion.jobs.maximum": 3, "appion.pause": 0.1,
           "appion.pause_max": 0.5}  # fmt: skip


@pytest.fixture
def service(tmp_path_factory, monkeypatch):
    service = Kubernetes(tmp_path_factory.mktemp("kubernetes"))
    monkeypatch.setenv("KUBECONFIG", str(service.kubeconfig))
    yield service
    service.stop()


@pytest.fixture
def pool(service, tmp_path):
    """A pool of a run that has no pod yet."""
    rundir = tmp_path / "run"
    (rundir / ".appion" / "journal").mkdir(parents=True)
    lock = acquireLock(rundir)
    settings = service.constructSettings(tmp_path) | SCALING
    with redirectDaskLogs(tmp_path / "logs"), dask.config.set(settings):
        pool = Pool(lambda: constructCluster((), None, rundir, Look(lock.belonging)), 1, "test", own=False)
        yield pool
        pool.close(at_once=True)
    lock.release()


def need(pool, number):
    """Say that there is as much to do, and wait for as many workers."""
    assert pool.prepare(True) in (True, False)
    pool.tell(Demand(backlog=number, seconds=60.0))
    waitFor(lambda: pool.prepare(True) or not number)
    if number:
        pool.start()
    waitFor(lambda: pool.countWorkers() == number)


def test_idle_pods_are_removed_and_those_that_work_stay(pool, service, tmp_path):
    need(pool, 3)
    assert len(service.names("pods", "worker")) == 3
    pool.submit(1, 1, awaitFile, (tmp_path, 1))
    waitFor(lambda: pool.describe()["busy"] == 1)
    need(pool, 1)
    (tmp_path / "end").touch()
    assert collect(pool, 1)[1].result == 1
    waitFor(lambda: service.replicas[-1] == 1)
    assert len(service.names("pods", "worker")) == 1
    assert not pool.rest()
    pool.tell(Demand())
    waitFor(lambda: not service.names("pods", "worker"))
    waitFor(lambda: pool.describe()["planned"] == 0)
    assert pool.rest()
    assert not service.things
    assert "pod lost" not in {event["what"] for event in pool.takeNews()}


def test_a_container_that_dies_and_one_that_does_not_come_back_are_lost_to_infrastructure(pool, service, tmp_path):
    need(pool, 1)
    waitFor(lambda: pool.describe()["jobs"]["working"] == 1)
    pool.submit(1, 1, awaitFile, (tmp_path, 1))
    waitFor(lambda: list(tmp_path.glob("begun*")))
    (name,) = service.names("pods", "worker")
    os.kill(service.processes[name].pid, signal.SIGKILL)
    failure = collect(pool, 1)[1].failure
    assert (failure.reason, failure.host) == ("the worker died while it had this exposure", "node1")
    news = []
    waitFor(lambda: [news.append(one) for one in pool.takeNews() if one["what"] == "pod lost"] or news)
    assert news[0]["reason"] == "OOMKilled (exit code 137)"
    waitFor(lambda: pool.countWorkers() == 1)
    pool.submit(2, 1, awaitFile, (tmp_path, 2))
    waitFor(lambda: list(tmp_path.glob("begun*2")) or len(list(tmp_path.glob("begun*"))) > 1)
    waitFor(lambda: pool.takeOverdue(0.2) == [2])
    waitFor(lambda: service.names("pods", "worker") not in ([], [name]))
    waitFor(lambda: pool.countWorkers() == 1)


def test_a_cluster_that_somebody_removed_is_made_again(pool, service):
    need(pool, 1)
    (name,) = service.names("daskclusters")
    service.delete("daskclusters", name)
    waitFor(lambda: service.names("daskclusters") not in ([], [name]))
    waitFor(lambda: not pool.isAlive())
    pool.drop()
    need(pool, 1)
    pool.submit(1, 1, abs, -1)
    assert collect(pool, 1)[1].result == 1
    assert {"cluster lost", "cluster made"} <= {event["what"] for event in pool.takeNews()}


@pytest.mark.parametrize(("refusal", "told", "remedy"), [
    ((403, 'daskclusters.kubernetes.dask.org is forbidden: User "me" cannot create'), "403 daskclusters", "rights"),
    ((404, "the server could not find the requested resource"), "404 the server could not find", "operator"),
])  # fmt: skip
def test_what_a_person_has_to_change_ends_the_run_at_its_start(pool, service, refusal, told, remedy):
    service.refusals["POST", "daskclusters"] = refusal
    with pytest.raises(ConfigurationFailure, match=told) as caught:
        waitFor(lambda: pool.prepare(True))
    assert remedy in caught.value.remedy
    waitFor(lambda: pool.describe().get("refused"))
    assert pool.describe()["refused"]["reason"].startswith(told)


def test_what_a_try_left_that_failed_half_way_is_removed_and_nobody_else_is_blamed(pool, service):
    service.refusals["POST", "secrets"] = service.refusals["DELETE", "daskclusters"] = 500, "etcdserver: timed out"
    pool.prepare(True)
    waitFor(lambda: pool.describe().get("refused"))
    (left, *more) = service.names("daskclusters")
    assert not more
    service.refusals.clear()
    need(pool, 1)
    assert service.names("daskclusters") not in ([], [left])
    removed = [event for event in pool.takeNews() if event["what"] == "pods removed"]
    assert [(event["clusters"], event["reason"]) for event in removed] == [([left], "left by a try that failed")]


def test_kubernetes_that_does_not_answer_changes_nothing(pool, service):
    need(pool, 1)
    service.refusals["GET", "pods"] = 500, "etcdserver: request timed out"
    waitFor(lambda: any("etcdserver" in line for line in pool.describe()["trouble"]))
    pool.tell(Demand(backlog=3, seconds=60.0))
    pool.submit(1, 1, abs, -1)
    assert collect(pool, 1)[1].result == 1
    assert pool.describe()["planned"] == 1
    service.refusals.clear()
    waitFor(lambda: pool.countWorkers() == 3)
    assert not pool.describe()["trouble"]


def test_pods_that_are_not_made_are_told_of(pool, service, monkeypatch):
    monkeypatch.setattr(keeper, "PATIENCE", 0.5)
    service.operated = False
    pool.prepare(True)
    pool.tell(Demand(backlog=1, seconds=60.0))
    waitFor(lambda: any("does Dask's operator run?" in line for line in pool.describe().get("trouble", [])))
    assert pool.describe()["stuck"] is None
    service.warn(f"{service.names('daskclusters')[0]}-scheduler", "FailedCreate", "violates PodSecurity")
    waitFor(lambda: pool.describe()["stuck"])
    assert pool.describe()["stuck"]["reason"].startswith("FailedCreate: violates PodSecurity (see: kubectl describe")


def test_folders_that_pods_cannot_see_are_an_error_before_anything_is_made(pool, service, tmp_path):
    mounts = [{"name": "data", "mountPath": str(tmp_path / "other")}]
    told = pytest.raises(ConfigurationFailure, match="pods cannot see the run folder")
    with dask.config.set({"appion.kubernetes.mounts": mounts}), told:
        pool.prepare(True)
    assert not service.calls


def test_doctor_asks_whether_it_is_there_and_what_this_account_may_do(service, tmp_path):
    def ask(**settings):
        with dask.config.set(service.constructSettings(tmp_path) | settings):
            (finding,) = runCheck(nameScheduler(), checkSlurm)
            return str(finding)

    assert "Kubernetes" in ask()
    assert "takes what a daemon asks for" in ask()
    service.refusals["MAY", "delete deployments"] = 403, ""
    assert "this account may not delete deployments" in ask()
    service.refusals.clear()
    service.refusals["GET", "daskclusters"] = 404, "the server could not find the requested resource"
    assert "have Dask's operator installed" in ask()
    assert "appion.kubernetes.image is None" in ask(**{"appion.kubernetes.image": None})
    assert not service.things
    service.stop()
    assert "does not answer" in ask()
