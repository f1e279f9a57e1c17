"""How daemons are started: what notes their exit code, and what systemd is asked."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from importlib import resources

import pytest

from appion.base.failures import ConfigurationFailure
from appion.keep.programs import start
from appion.keep.programs.start import nameUnit, startRun
from appion.keep.records import SYSTEMD, OwnRun
from appion.keep.retrieve.condition import lookAt, readExit
from tests.services.waiting import waitFor

SCRIPT = str(resources.files("appion.keep").joinpath("run.sh"))

#: Notes its words and runs what stands behind `--`, as systemd does.
SYSTEMD_RUN = """\
#!/bin/sh
printf '%s\\n' "$@" > {words}
test -e {refuse} && {{ echo "Failed to start transient service unit" >&2; exit 1; }}
while test "$1" != --; do shift; done
shift
"$@" &
"""


@pytest.fixture
def run(tmp_path):
    rundir = tmp_path / "ddstack1"
    (rundir / ".appion").mkdir(parents=True)
    return OwnRun("1-enn-motioncor2.py-0", 1, "26nov27a", 1, "all", "enn", "motioncor2.py", str(rundir), "ddstack1", [],
                  SYSTEMD, starts=3, environment={"DASK_APPION__QUIT_AFTER_IDLE": "60"})  # fmt: skip


@pytest.mark.parametrize("code", [0, 1, 2, 77])
def test_the_exit_code_is_there_for_whoever_looks_later(run, code):
    path = f"{run.rundir}/.appion/exit"
    done = subprocess.run(["/bin/sh", SCRIPT, path, run.token, "sh", "-c", f"exit {code}"], timeout=600, check=False)
    assert (done.returncode, readExit(run)) == (code, code)
    run.starts += 1
    assert readExit(run) is None, "of another start"
    assert os.listdir(f"{run.rundir}/.appion") == ["exit"]


def test_who_is_told_to_end_hears_it_once(run, tmp_path):
    ledger = tmp_path / "ledger"
    deaf = f"trap 'echo told >> {ledger}' TERM; echo ready >> {ledger}; for i in 1 2 3 4 5; do sleep 0.3; done; exit 5"
    process = subprocess.Popen(["/bin/sh", SCRIPT, f"{run.rundir}/.appion/exit", run.token, "sh", "-c", deaf])
    waitFor(ledger.exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(600) == 5
    assert ledger.read_text() == "ready\ntold\n"
    assert readExit(run) == 5


def test_systemd_is_given_words_and_the_unit_of_a_run_has_one_name(run, tmp_path, monkeypatch):
    words, refuse = tmp_path / "words", tmp_path / "refuse"
    program = tmp_path / "systemd-run"
    program.write_text(SYSTEMD_RUN.format(words=words, refuse=refuse))
    program.chmod(0o755)
    daemon = tmp_path / "daemon"
    daemon.write_text('#!/bin/sh\necho "$DASK_APPION__QUIT_AFTER_IDLE $*" > "$PWD/said"\nexit 2\n')
    daemon.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DASK_APPION__POLL", "7")
    monkeypatch.setattr(start, "findCommand", lambda _name: str(daemon))
    monkeypatch.chdir(run.rundir)
    startRun(run, ["--session=26nov27a", "--align"])
    waitFor(lambda: lookAt(run).code == 2)
    assert (tmp_path / "ddstack1/said").read_text() == "60 --session=26nov27a --align\n"
    given = words.read_text().splitlines()
    assert f"--unit={nameUnit(run)}" in given
    assert "--setenv=DASK_APPION__POLL=7" in given
    assert f"--property=StandardError=append:{run.rundir}/ddstack1.appionsub.log" in given
    assert shlex.join(given[given.index("--") + 1 :]).endswith(f"start3 {daemon} --session=26nov27a --align")
    refuse.touch()
    with pytest.raises(ConfigurationFailure, match="Failed to start transient"):
        startRun(run, [])
