"""P11 and P12: a program that hangs is ended with all it started, and nothing that is wrong is stored."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from appion.base.programs.identify import askProgram
from appion.base.retrieve.attempts import readAttempts
from appion.cli import main as mainAppion
from appion.ctfestimation.calc.internal.shortname import constructShortName
from appion.motioncorrection.cli.main import main as mainMotionCor
from sinedon.models import appiondata, leginondata
from tests.ctfestimation import test_main as ctf
from tests.faults.test_daemon import Daemon, isRunning, makeExposures, renameMovies, writeMovies
from tests.faults.test_promises_options import useProgram
from tests.services.sessions import addImages

session = ctf.session

__all__ = ["session", "useProgram"]


def waitFor(condition, daemon, process, timeout=600):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, daemon.readLog()
        assert process.poll() is None, daemon.readLog()
        time.sleep(0.05)


def readEvents(daemon, name):
    lines = (daemon.rundir / ".appion" / "events.jsonl").read_text().splitlines()
    return [event["what"] for event in map(json.loads, lines) if event.get("name") == name]


@pytest.mark.usefixtures("sqlitedatabase")
def test_P11_hung_program_is_ended_with_its_children_and_frees_its_gpu(tmp_path):
    made = makeExposures(tmp_path, 3)
    writeMovies(made)
    (hanging,) = renameMovies(made, "hang")
    daemon = Daemon(tmp_path, made, "0", motioncorrection__timeout=15, attempts=2)
    daemon.finish("--no-wait", "--reverse")
    assert len(daemon.pids.read_text().split()) == 6  # the program, its child and one in a group of its own, twice
    assert daemon.listHanging() == []
    assert daemon.readLedger()[f"start {hanging}.frames.mrc"] == 2
    assert next(iter(daemon.readLedger())) == f"start {hanging}.frames.mrc", "it was the first on the only GPU"
    assert readEvents(daemon, hanging) == ["submitted", "failed", "submitted", "set aside"]
    done = appiondata.ApDDAlignImagePairData.objects.values_list("source_id", flat=True)
    assert set(done) == set(made.image_ids[:2])
    assert not list((daemon.rundir / ".appion" / "scratch").iterdir())
    (attempt,) = readAttempts(daemon.rundir).values()
    assert "did not end within 15 s and was killed" in attempt.reason
    assert "motioncorrection.timeout" in attempt.remedy


@pytest.mark.usefixtures("sqlitedatabase")
def test_P11_hung_program_ends_with_its_killed_worker(tmp_path):
    made = makeExposures(tmp_path, 2)
    writeMovies(made)
    (stalling,) = renameMovies(made, "stall")
    daemon = Daemon(tmp_path, made, "0")
    process = daemon.start("--no-wait", "--reverse")
    try:
        waitFor(lambda: len(daemon.listHanging()) == 3, daemon, process)
        worker = re.search(rf"hangs (\d+) {stalling}", daemon.ledger.read_text())
        os.kill(int(worker[1]), signal.SIGKILL)
        waitFor(lambda: not daemon.listHanging(), daemon, process)
        assert process.wait(600) == 0, daemon.readLog()
    finally:
        process.kill()
        process.wait()
    assert not isRunning(int(worker[1]))
    assert daemon.readLedger()[f"start {stalling}.frames.mrc"] == 2
    assert appiondata.ApDDAlignImagePairData.objects.count() == 4
    assert readAttempts(daemon.rundir) == {}
    assert readEvents(daemon, stalling)[-2:] == ["computed", "stored"]


#: What `appion failures` says of each fault of the stand-in for motioncor2.
REASONS = {
    "nothing": "there is no sum",
    "noshifts": "shifts",
    "fewshifts": "the program's log has 3 shifts for 4 frames",
    "wrongdims": "the sum has 32 x 28 pixels instead of 32 x 32",
    "pixelsize": "the sum gives a pixel size of",
    "zeros": "the sum is 0 everywhere",
    "nan": "the sum has 1 pixels that are not finite numbers",
    "short": "the sum is truncated",
    "noweighted": "there is no dose-weighted sum",
}


@pytest.mark.usefixtures("sqlitedatabase")
def test_P12_wrong_images_and_shifts_are_never_stored(tmp_path, capsys):
    made = makeExposures(tmp_path, len(REASONS) + 2)
    writeMovies(made)
    faults = renameMovies(made, *REASONS)
    daemon = Daemon(tmp_path, made, attempts=1)
    daemon.rundir.mkdir(parents=True)
    empty = next(name for name, fault in faults.items() if fault == "nothing")
    stale = [daemon.rundir / f"{empty}_{end}.mrc" for end in ("c", "c-DW")]
    for path in stale:  # as a killed attempt may leave them
        path.write_bytes((Path(made.image_path) / f"{made.filenames[0]}.mrc").read_bytes())
    daemon.finish("--no-wait")
    good = set(made.image_ids[:2])
    pairs = appiondata.ApDDAlignImagePairData.objects.all()
    assert sorted(pair.source_id for pair in pairs) == sorted([*good, *good]), daemon.readLog()
    images = leginondata.AcquisitionImageData.objects.filter(session_id=made.session_id)
    assert images.count() == len(made.image_ids) + 4
    written = {path.stem for path in Path(made.image_path).iterdir()} - {path.filename for path in images}
    assert written == set()
    checkReasons(daemon.rundir, faults, REASONS, capsys)


def checkReasons(rundir, faults, reasons, capsys):
    """`appion failures` names each exposure with the reason that belongs to its fault."""
    capsys.readouterr()
    assert mainAppion(["failures", "--json", str(rundir)]) == 0
    failed = [attempt for group in json.loads(capsys.readouterr().out)["failed"] for attempt in group]
    told = {attempt["filename"]: attempt["reason"] for attempt in failed}
    assert told.keys() == faults.keys()
    for name, fault in faults.items():
        assert reasons[fault] in told[name], fault
    assert mainAppion(["failures", str(rundir)]) == 0
    shown = capsys.readouterr().out
    assert all(reason in shown for reason in reasons.values())


@pytest.mark.usefixtures("sqlitedatabase")
def test_P12_versions_known_to_make_wrong_images_are_refused(tmp_path, capsys, monkeypatch, useProgram):
    made = makeExposures(tmp_path, 1)
    writeMovies(made)
    daemon = Daemon(tmp_path, made)
    useProgram(daemon)
    words = [f"--rundir={daemon.rundir}", "--runname=ddstack1", "--preset=enn", f"--session={made.name}",
             "--projectid=1", "--align", "--no-wait"]  # fmt: skip
    for version in ("1.2.1", "1.2.2", "1.2.3"):
        monkeypatch.setenv("FAKE_VERSION", f"MotionCor3 version {version}")
        askProgram.cache_clear()
        assert mainMotionCor([*words, "--doseweight"]) == 2
        told = capsys.readouterr().err
        assert f"motioncor3 {version}" in told
        assert "writes wrong dose-weighted images" in told
        assert "use another version" in told
    assert not daemon.rundir.exists()
    assert mainMotionCor([*words, "--dry-run"]) == 0, "only dose-weighted images are wrong"


#: What `appion failures` says of each fault of the stand-in for ctffind.
CTF_REASONS = {
    "nan": "the fit is not one: defocus 2 is nan",
    "constant": "the fit is not one: score",
    "six": "a row of 6 columns instead of 7 to 10",
    "empty": "has no row of values",
    "nothing": "the program wrote no",
}


@ctf.on_sqlite
def test_P12_wrong_fits_are_never_stored(session, tmp_path, capsys):
    made = addImages(session, len(CTF_REASONS) - 2)
    ctf.saveMicrographs(made, [None] * len(made.image_ids))
    faults = renameMovies(made, *CTF_REASONS)
    rundir = tmp_path / "appion" / made.name / "ctf" / "ctf1"
    rundir.mkdir(parents=True)
    (empty,) = (name for name, fault in faults.items() if fault == "nothing")
    stale = rundir / f"{constructShortName(empty)}-pow.txt"
    stale.write_text("1 16005.0 15005.2 -60.08 0.0 0.85 2.5\n")  # of an earlier attempt
    assert ctf.run(made, tmp_path) == 0
    (row,) = appiondata.ApCtfData.objects.all()
    assert row.image_id == made.image_ids[0]
    assert row.defocus1 == pytest.approx(1.50052e-6)
    checkReasons(rundir, faults, CTF_REASONS, capsys)
