"""P6 and P18: the whole daemon on a real Slurm, whose commands fail on purpose.

What is lost is replaced, what is not known is left alone, there are never more jobs than there may be, and none when
there is nothing to do.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.status import readStatus
from appion.base.store.metrics import metricsPath
from tests.faults.test_daemon_kill import checkOnce, count, finish, readNotes, start
from tests.faults.test_slurm_pool import slurmdaemon
from tests.services.waiting import waitFor

__all__ = ["slurmdaemon"]

MAXIMUM = 3  # as in the settings of `slurmdaemon`
REFUSAL = "Batch job submission failed: Socket timed out on send/recv operation"
REFUSE = f'echo "sbatch: error: {REFUSAL}" >&2; exit 1'
DIE = """for script; do :; done; sed -i 's|^exec .*|echo "no disk here"; exit 1|' "$script" """


class Flaky:
    """Stand-ins for Slurm's commands: each call is counted, does what it is told to in shell, then calls the real one.

    Args:
        slurm: whose commands they are.
        folder: where they are put, for the PATH.
    """

    PROGRAMS = ("sbatch", "squeue", "scancel")

    def __init__(self, slurm, folder):
        self.folder = folder
        for program in self.PROGRAMS:
            real = slurm.run("sh", "-c", f"command -v {program}").stdout.strip()
            calls, rule = folder / f"{program}.calls", folder / f"{program}.rule"
            calls.mkdir(parents=True)
            path = folder / program
            path.write_text(
                f"#!/bin/sh\nREAL={real}\nn=$(ls {calls} | wc -l)\n"
                f'until mkdir "{calls}/$((n += 1))" 2>/dev/null; do :; done\n'
                f'for rule in {rule} {rule}-$n; do [ -e "$rule" ] && . "$rule"; done\nexec "$REAL" "$@"\n'
            )
            path.chmod(0o755)

    def rule(self, program, script, call=None):
        """Have a program do this first, at call number `call` or at every one. `$n` is the number of the call."""
        path = self.folder / (f"{program}.rule" if call is None else f"{program}.rule-{call}")
        path.with_suffix(".new").write_text(f"{script}\n")
        path.with_suffix(".new").rename(path)

    def heal(self, program):
        (self.folder / f"{program}.rule").unlink()

    def count(self, program):
        return len(list((self.folder / f"{program}.calls").iterdir()))


@pytest.fixture
def flaky(slurmdaemon, tmp_path, monkeypatch):
    flaky = Flaky(slurmdaemon, tmp_path / "commands")
    monkeypatch.setenv("PATH", f"{flaky.folder}:{os.environ['PATH']}")
    monkeypatch.setenv("DASK_APPION__PAUSE_MAX", "2")
    return flaky


@contextlib.contextmanager
def watchJobs(slurm):
    """Ask the real Slurm again and again how many jobs there are; yields a list of the numbers."""
    seen, stop = [], threading.Event()

    def watch():
        while not stop.wait(0.1):
            listed = slurm.run("squeue", "--noheader", "--format=%T").stdout.split()
            seen.append(sum(state != "COMPLETING" for state in listed))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


class Watched:
    """The daemon of one test: `more` exposures are asked for as it goes on."""

    def __init__(self, folder, number, seconds=0.4):
        self.folder, self.rundir, self.number = folder, folder / "run", number
        (folder / "number").write_text(str(number))
        self.process = start(folder, number, seconds, "wait=1")

    def ask(self, more):
        """Let more exposures arrive."""
        self.number += more
        path = self.folder / "number"
        path.with_suffix(".new").write_text(str(self.number))
        path.with_suffix(".new").rename(path)

    def status(self):
        with contextlib.suppress(ConfigurationFailure):
            return readStatus(self.rundir)
        return None

    def wait(self, condition, timeout=600, busy=False):
        """Wait for a condition on the status, once there are workers to be told of.

        `busy`: exposures keep coming until then, so that all workers are needed however long it takes.
        """
        deadline = time.monotonic() + timeout
        while not ((status := self.status()) and "trouble" in status["workers"] and condition(status)):
            if busy and status and self.number - status["counts"]["done"] < 40:
                self.ask(40)
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, (status, self.events()[-20:])
            time.sleep(0.05)

    def waitForWorkers(self, number):
        self.wait(lambda status: status["workers"]["in_sight"] == number, busy=True)

    def waitForTrouble(self, *words):
        """Wait until status.json and `appion status` say all these words in one line."""
        self.wait(lambda status: any(all(w in line for w in words) for line in status["workers"]["trouble"]), busy=True)
        command = [sys.executable, "-m", "appion.cli", "status", str(self.rundir)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert told.returncode == 1
        assert any(all(word in line for word in words) for line in told.stdout.splitlines()), told.stdout

    def events(self, what=None):
        return [event for event in readEvents(self.rundir) if what in (None, event["what"])]

    def finish(self):
        """Wait until everything is done, and end."""
        self.wait(lambda status: status["counts"]["done"] == self.number)
        self.process.terminate()
        code, out, err = finish(self.process, timeout=600)
        assert (code, out) == (0, "stopped\n"), err
        checkOnce(self.folder, self.number, lost=4)
        assert not [event for event in self.events() if event["what"] == "set aside" or event.get("class") == "image"]


@pytest.fixture
def watched(tmp_path):
    """Starts a daemon; whatever becomes of the test, it does not outlive it."""
    daemons = []

    def begin(number):
        daemons.append(Watched(tmp_path, number))
        return daemons[-1]

    yield begin
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.communicate()


def test_P6_jobs_that_fail_vanish_or_die_are_replaced(flaky, slurmdaemon, watched):
    """One submission in three fails; job 1 is one that Slurm knows nothing of, 2 dies before its worker is there, and 4
    is cancelled by somebody while it waits. What squeue says is garbage once."""
    flaky.rule("sbatch", f"[ $((n % 3)) = 0 ] && {{ {REFUSE}; }}")
    flaky.rule("sbatch", 'echo "Submitted batch job 60000000"; exit 0', call=1)
    flaky.rule("sbatch", DIE, call=2)
    flaky.rule("sbatch", 'set -- --begin=now+1hour "$@"', call=4)
    flaky.rule("squeue", 'echo "slurm_load_jobs error: 3|RUNNING|"; exit 0', call=3)
    with watchJobs(slurmdaemon) as live:
        daemon = watched(30)
        daemon.wait(lambda status: status["workers"].get("pending") == [["BeginTime", 1]], busy=True)
        (waiting,) = (job for job, state in slurmdaemon.listJobs().items() if state == "PENDING")
        slurmdaemon.run("scancel", str(waiting))
        daemon.waitForWorkers(MAXIMUM)
        daemon.wait(lambda status: status["workers"]["trouble"] == [])
        assert flaky.count("sbatch") <= 12
        daemon.finish()
    assert max(live) <= MAXIMUM
    waitFor(lambda: not slurmdaemon.listJobs())
    reasons = [event["reason"] for event in daemon.events("job lost")]
    for words in ("Slurm knows it no more", "no disk here", "CANCELLED"):
        assert sum(words in reason for reason in reasons) == 1, reasons
    assert "squeue fails" in {event["what"] for event in daemon.events()}


def test_P6_unknown_is_not_dead(flaky, slurmdaemon, watched, tmp_path):
    """While squeue fails nothing is cancelled and nothing submitted, not even for a worker that died meanwhile."""
    daemon = watched(40)
    daemon.waitForWorkers(MAXIMUM)
    waitFor(lambda: count(tmp_path, "marker"))
    jobs = set(slurmdaemon.listJobs())
    flaky.rule("squeue", 'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1')
    daemon.waitForTrouble("Slurm does not say how jobs are since", "Unable to contact slurm controller")
    worker = int([words for words in readNotes(tmp_path) if words[0] == "start"][-1][2])
    os.kill(worker, signal.SIGKILL)
    daemon.waitForWorkers(MAXIMUM - 1)
    before = {program: flaky.count(program) for program in flaky.PROGRAMS}
    done = len(count(tmp_path, "marker"))
    daemon.wait(lambda _: flaky.count("squeue") >= before["squeue"] + 3, busy=True)
    daemon.wait(lambda _: len(count(tmp_path, "marker")) > done, busy=True)
    assert (flaky.count("sbatch"), flaky.count("scancel")) == (before["sbatch"], before["scancel"])
    assert len(jobs & set(slurmdaemon.listJobs())) == MAXIMUM - 1
    flaky.heal("squeue")
    daemon.waitForWorkers(MAXIMUM)
    daemon.wait(lambda status: status["workers"]["trouble"] == [])
    assert len(daemon.events("job lost")) == len(daemon.events("squeue answers again")) == 1
    daemon.process.terminate()
    assert finish(daemon.process)[1] == "stopped\n"
    assert set(count(tmp_path, "start")) == set(count(tmp_path, "marker"))


@pytest.mark.parametrize("how", ["refused", "dead"])
def test_P6_the_circuit_breaker_opens_tells_why_and_closes_by_itself(flaky, slurmdaemon, watched, how):
    """Ever fewer tries until Slurm is well again: jobs die before they work, or sbatch fails.

    What is worse, Slurm took those jobs all the same and only its answer was lost: they are found and cancelled.
    """
    rule = {"refused": f'"$REAL" "$@" > /dev/null; {REFUSE}', "dead": DIE}[how]
    words = {"refused": ("Slurm does not take jobs since", REFUSAL), "dead": ("jobs end before they work", "no disk")}
    flaky.rule("sbatch", rule)
    began = time.monotonic()
    with watchJobs(slurmdaemon) as live:
        daemon = watched(20)
        daemon.waitForTrouble(*words[how])
        waitFor(lambda: flaky.count("sbatch") >= 6)
        tries, seconds = flaky.count("sbatch"), time.monotonic() - began
        # Three at first, then one at a time after pauses of 0.1, 0.2, ... seconds, of at most 2.
        assert tries <= MAXIMUM + 1 + math.log2(1 + seconds / 0.1) + seconds / 2
        daemon.waitForTrouble(*words[how])
        what = {"refused": "sbatch", "dead": "jobs"}[how]
        metrics = metricsPath(daemon.rundir).read_text().splitlines()
        assert [line[-3:] for line in metrics if f'what="{what}"' in line and "outage" in line] == ["1.0"]
        flaky.heal("sbatch")
        daemon.waitForWorkers(MAXIMUM)
        daemon.wait(lambda status: not any(words[how][0] in line for line in status["workers"]["trouble"]))
        daemon.finish()
    assert max(live) <= MAXIMUM
    opened, closed = {"refused": ("submitting fails", "submitting works again"),
                      "dead": ("jobs do not start", "jobs start again")}[how]  # fmt: skip
    assert len(daemon.events(opened)) == len(daemon.events(closed)) == 1
    waitFor(lambda: not slurmdaemon.listJobs())


def test_P6_the_controller_is_down_for_a_while(slurmdaemon, watched, tmp_path):
    """Workers go on meanwhile, and their jobs are the same ones afterwards."""
    daemon = watched(40)
    daemon.waitForWorkers(MAXIMUM)
    jobs = set(slurmdaemon.listJobs())
    slurmdaemon.stopController()
    daemon.waitForTrouble("Slurm does not say how jobs are since", "squeue")
    done = len(count(tmp_path, "marker"))
    daemon.wait(lambda _: len(count(tmp_path, "marker")) >= done + 5, busy=True)
    slurmdaemon.startController()
    daemon.wait(lambda status: status["workers"]["trouble"] == [])
    assert set(slurmdaemon.listJobs()) == jobs
    assert len(daemon.events("job submitted")) == MAXIMUM
    slurmdaemon.run("scancel", str(min(jobs)))
    daemon.wait(lambda _: len(daemon.events("job submitted")) == MAXIMUM + 1, busy=True)
    daemon.waitForWorkers(MAXIMUM)
    daemon.process.terminate()
    assert finish(daemon.process)[1] == "stopped\n"
    waitFor(lambda: not slurmdaemon.listJobs())


def test_P18_no_job_is_left_when_idle_and_a_second_burst_has_them_again(flaky, slurmdaemon, watched, monkeypatch):
    monkeypatch.setenv("DASK_APPION__SLURM__HOLD", "2")
    daemon = watched(40)
    for _ in range(2):
        daemon.waitForWorkers(MAXIMUM)
        daemon.wait(lambda status: status["workers"]["in_sight"] == status["workers"]["planned"] == 0)
        waitFor(lambda: not slurmdaemon.listJobs())
        assert daemon.status()["counts"]["done"] == daemon.number
    assert flaky.count("sbatch") == len(daemon.events("job works")) == 2 * MAXIMUM
    assert flaky.count("scancel") == 0, "each of them worked until it was idle"
    assert daemon.events("job lost") == []
    daemon.finish()


def test_jobs_that_are_held_are_no_well_run(flaky, slurmdaemon, watched):
    """The first line of the status says TROUBLE, since when and why, until somebody has done something."""
    flaky.rule("sbatch", 'set -- --hold "$@"')
    daemon = watched(10)
    daemon.waitForTrouble("no job can start before somebody does something since", "JobHeldUser", "scontrol release")
    for job in slurmdaemon.listJobs():
        slurmdaemon.run("scontrol", "release", str(job))
    flaky.heal("sbatch")
    daemon.waitForWorkers(MAXIMUM)
    daemon.finish()
    assert len(daemon.events("jobs are stuck")) == len(daemon.events("jobs can start again")) == 1


def test_a_wrapper_that_prints_a_number_first_harms_nobody(flaky, slurmdaemon, watched):
    """The number in the banner is another job of the same user, which must outlive the daemon."""
    other = slurmdaemon.submit("sleep 300", "--job-name=somebody")
    flaky.rule("sbatch", f'echo "Welcome, job {other} of yours runs"; echo; "$REAL" "$@"; echo "--> {other} OK"; exit')
    daemon = watched(10)
    daemon.waitForWorkers(MAXIMUM)
    daemon.finish()
    waitFor(lambda: set(slurmdaemon.listJobs()) == {other})
    jobs = [event["job"] for event in daemon.events("job submitted")]
    assert str(other) not in jobs
    assert len(jobs) == MAXIMUM
