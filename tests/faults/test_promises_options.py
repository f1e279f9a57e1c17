"""P15: results of one run are made with the same options. A start with others is refused and says what differs."""

from __future__ import annotations

import contextlib
import itertools
import re

import dask.config
import pytest

import sinedon
from appion.base.records.runfolder import runOptionsPath
from appion.ctfestimation.cli.main import mainGctf
from appion.motioncorrection.cli.main import main as mainMotionCor
from sinedon.models import appiondata
from tests.ctfestimation import test_main as ctf
from tests.faults.test_daemon import Daemon, makeExposures, writeMovies

SETTINGS = {"workers": 1, "poll": 0.5, "recheck": 0.2, "nowait_patience": 1, "attempts": 1, "free_space": 0,
            "motioncorrection.settle": 0, "ctfestimation.settle": 0}  # fmt: skip


@pytest.fixture(autouse=True)
def _settings():
    with dask.config.set({f"appion.{key}": value for key, value in SETTINGS.items()}):
        yield


@pytest.fixture
def useProgram(monkeypatch):
    """Call it to have programs in this process use the stand-in of a daemon."""
    with contextlib.ExitStack() as stack:

        def use(daemon):
            executable = daemon.env["DASK_APPION__MOTIONCORRECTION__EXECUTABLE"]
            stack.enter_context(dask.config.set({"appion.motioncorrection.executable": executable}))
            monkeypatch.setenv("FAKE_LEDGER", str(daemon.ledger))

        yield use


def start(main, words, capsys):
    """Run a program; return its exit code and what it wrote to standard error."""
    code = main(words)
    sinedon.setup(1)
    return code, capsys.readouterr().err


@pytest.mark.usefixtures("mariadatabase")
def test_P15_motion_correction_goes_on_with_the_same_options_only(tmp_path, capsys, useProgram):
    made = makeExposures(tmp_path, 3)
    writeMovies(made)
    useProgram(Daemon(tmp_path, made))
    rundir = tmp_path / "appion" / "ddstack1"
    web = [f"--rundir={rundir}", "--runname=ddstack1", "--preset=enn", f"--session={made.name}", "--projectid=1",
           "--no-rejects", "--continue", "--parallel", "--align", "--gpuids=0", "--Bft_global=500", "--Bft_local=100",
           "--no-wait"]  # fmt: skip
    pairs = appiondata.ApDDAlignImagePairData.objects

    def run(*words):
        return start(mainMotionCor, [*web, *words], capsys)

    assert run("--Patchrows=5", "--doseweight", "--limit=1")[0] == 0
    assert pairs.count() == 2
    code, told = run("--Patchrows=7", "--trim=2", "--limit=1")
    assert code == 2
    assert (
        "run ddstack1 has results of other options: --Patchrows 5, now 7; --doseweight on, now off; --trim 0, now 2"
        " (use the former options, or choose another --runname and --rundir)"
    ) in told
    assert run("--Patchrows=5", "--dry-run")[0] == 2
    assert run("--Patchrows=5", "--dry-run", "--no-commit")[0] == 0  # for a look
    runOptionsPath(rundir).unlink()  # the database knows as well
    code, told = run("--Patchrows=7", "--doseweight")
    assert (code, "--Patchrows 5, now 7" in told) == (2, True), told
    assert pairs.count() == 2
    assert appiondata.ApDDStackRunData.objects.count() == appiondata.ApAppionJobData.objects.count() == 1
    assert appiondata.ApAppionJobData.objects.get().status == "D"
    web[:] = itertools.chain.from_iterable(word.split("=", 1) for word in reversed(web))
    code, told = run("--doseweight", "--Patchrows", "5", "--Tol=.50", "--reverse")
    assert (code, re.findall("other options|no record|not known", told)) == (0, []), told
    assert pairs.count() == 6
    assert runOptionsPath(rundir).exists()


@pytest.mark.parametrize("anydatabase", ["mariadb"], indirect=True)
def test_P15_ctf_estimation_goes_on_with_the_same_options_only(session, tmp_path, capsys):
    def run(*words):
        words = {word.partition("=")[0]: word for word in (*ctf.constructArguments(session, tmp_path), *words)}
        words.pop("--num_frame_avg")
        return start(mainGctf, list(words.values()), capsys)

    assert run("--limit=1")[0] == 0
    rows = appiondata.ApCtfData.objects
    assert rows.count() == 1
    code, told = run("--resmax=5", "--do_EPA", "--nominal=2")
    assert code == 2
    assert (
        "run ctf1 has results of other options: --do_EPA off, now on; --nominal not given, now 2.0; "
        "--resmax 4.0, now 5.0 (use the former options, or choose another --runname and --rundir)"
    ) in told
    code, told = run("--ampcontrast=0.1")
    assert (code, "run ctf1 has ampcontrast 0.07, now 0.1" in told) == (2, True), told
    assert rows.count() == appiondata.ApAceRunData.objects.count() == 1
    assert run("--resmax=4.00")[0] == 0
    assert rows.count() == 3


session = ctf.session
