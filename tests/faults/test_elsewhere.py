"""The whole daemon on a Dask scheduler of other processes: restarted, blind workers, wrong certificates."""

from __future__ import annotations

import json
import os
import signal

import pytest

from sinedon.models import appiondata
from tests.faults.test_daemon import Daemon, makeExposures, writeMovies
from tests.faults.test_daemon_kill import checkOnce, count, finish, readNotes, start
from tests.faults.test_slurm_pool import readEvents
from tests.services.daskscheduler import DaskScheduler, asVariables, canBlind, saveCertificate
from tests.services.waiting import waitFor


@pytest.fixture
def service(tmp_path_factory, monkeypatch):
    """A scheduler with certificates; daemons that are started in this test are told of it."""
    service = DaskScheduler(tmp_path_factory.mktemp("dask"))
    settings = {"appion.cluster": service.address, "appion.elsewhere.poll": "0.5", **service.settings}
    for name, value in asVariables(settings).items():
        monkeypatch.setenv(name, value)
    service.startScheduler()
    yield service
    service.stop()


def readStatus(folder):
    return json.loads((folder / "run/.appion/status.json").read_text())


def test_P2_P4_P7_a_scheduler_elsewhere_is_killed_and_restarted_and_every_exposure_is_stored_once(service, tmp_path):
    service.startWorkers(3)
    number = 50
    daemon = start(tmp_path, number, 0.5)
    waitFor(lambda: len(count(tmp_path, "marker")) >= 8)
    os.kill(int([words for words in readNotes(tmp_path) if words[0] == "start"][-1][2]), signal.SIGKILL)  # a worker
    waitFor(lambda: len(count(tmp_path, "marker")) >= 20)
    service.killScheduler()
    waitFor(lambda: any("is not there" in line for line in readStatus(tmp_path)["workers"]["trouble"]))
    service.startScheduler()
    code, out, err = finish(daemon)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, number, lost=7)
    events = readEvents(tmp_path)
    assert {"scheduler away", "scheduler back", "handed back"} <= {event["what"] for event in events}
    assert not [event for event in events if event["what"] in ("failed", "set aside")]
    assert not readStatus(tmp_path)["workers"].get("trouble")
    assert service.describeLeft() == []


@canBlind
@pytest.mark.usefixtures("sqlitedatabase")
def test_workers_that_do_not_see_the_run_folder_end_the_run_at_its_start(service, tmp_path):
    made = makeExposures(tmp_path, 2)
    writeMovies(made)
    daemon = Daemon(tmp_path, made, "0")
    service.startWorkers(1, blind=tmp_path, CUDA_VISIBLE_DEVICES="0")
    daemon.finish("--no-wait", exit_code=2)
    told = daemon.readLog()
    assert f"the run folder {daemon.rundir} is away: there is no .appion/lock in it" in told
    assert f"cannot see the folder {made.frame_path}: No such file or directory" in told
    assert f"the program {daemon.folder / 'motioncor2'} is not there" in told
    assert f"{os.uname().nodename} (tls://127.0.0.1:" in told
    assert "under the same paths on the workers" in told
    fake = {name: value for name, value in daemon.env.items() if name.startswith("FAKE_")}
    service.startWorkers(1, CUDA_VISIBLE_DEVICES="0", FAKE_SECONDS="0", **fake)  # one that sees is enough
    waitFor(lambda: len(service.askWorkers()) == 2)
    daemon.finish("--no-wait")
    assert appiondata.ApDDAlignImagePairData.objects.count() == 4
    events = [json.loads(line) for line in (daemon.rundir / ".appion/events.jsonl").read_text().splitlines()]
    assert len([event for event in events if event["what"] == "worker unfit"]) == 2


@pytest.mark.usefixtures("sqlitedatabase", "service")
def test_certificates_of_somebody_else_end_the_run_at_its_start(tmp_path):
    daemon = Daemon(tmp_path, makeExposures(tmp_path, 1), "0")
    forged = saveCertificate(tmp_path / "forged")
    daemon.env |= asVariables(forged)
    daemon.finish("--no-wait", exit_code=2)
    assert "do not trust each other's certificates" in daemon.readLog()
    for name in ("ca-file", "client.cert", "client.key"):
        assert f"distributed.comm.tls.{name}" in daemon.readLog()


def test_sigterm_gives_back_what_no_worker_has_begun_and_leaves_nothing(service, tmp_path):
    service.startWorkers(2)
    daemon = start(tmp_path, 30, 1, "wait=1")
    waitFor(lambda: len(count(tmp_path, "marker")) >= 2)
    daemon.terminate()
    code, out, err = finish(daemon)
    assert (code, out) == (0, "stopped\n"), err
    assert count(tmp_path, "start") == count(tmp_path, "marker")
    assert service.describeLeft() == []
    assert len(service.askWorkers()) == 2


def test_P3_killed_daemon_leaves_nothing_on_the_scheduler_and_what_ran_is_stored_by_the_next(service, tmp_path):
    service.startWorkers(2)
    daemon = start(tmp_path, 12, 2)
    waitFor(lambda: len(count(tmp_path, "start")) >= 4)
    daemon.kill()
    daemon.communicate()
    waitFor(lambda: not [key for key in service.describeLeft() if key.startswith("fake")])
    waitFor(lambda: count(tmp_path, "end") == count(tmp_path, "start"))  # they are left to come to their end
    code, out, err = finish(start(tmp_path, 12, 0.1))
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, 12)
    assert {event["what"] for event in readEvents(tmp_path)} >= {"stored"}
