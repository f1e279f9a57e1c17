"""Real programs that estimate the CTF, on micrographs whose CTF is known.

APPION_CTFFIND=/path/of/ctffind APPION_GCTF=… APPION_GCTFFIND=… python -m pytest tests/real
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from appion.base.records.program import Program
from sinedon.models import appiondata
from tests.ctfestimation.micrographs import saveMicrograph
from tests.ctfestimation.simulated import simulateMicrograph
from tests.real.commands import Bench, readEvents, readRecords, requireProgram
from tests.services.sessions import MadeSession, makeSession

SIDE, BOX = 2048, 512
#: Truth: m and degrees, of the axis of the smaller defocus.
DEFOCUS, ANGLE, PHASE = (1.5e-6, 1.6e-6), 30.0, 90.0


def saveMicrographs(made: MadeSession, phase: float = 0.0) -> None:
    Path(made.image_path).mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(made.filenames):
        image = simulateMicrograph(
            (SIDE, SIDE), 1.0, *DEFOCUS, ANGLE, phase_shift=np.radians(phase), bfactor=20.0, snr=0.5, seed=seed
        )
        path = saveMicrograph(Path(made.image_path) / f"{name}.mrc", image)
        os.utime(path, (1e9, 1e9))


@pytest.fixture
def made(sqlitedatabase, tmp_path: Path) -> MadeSession:
    """Two micrographs of 1 Å pixels; they are not written yet."""
    return makeSession(images=2, root=tmp_path, dimension=(SIDE, SIDE), binning=1, pixelsize=1e-10, norm=False,
                       projectid=sqlitedatabase.projectid)  # fmt: skip


@pytest.fixture
def ctffind(tmp_path: Path) -> Bench:
    return Bench(tmp_path, requireProgram("APPION_CTFFIND", "ctffind4"), "ctffind.executable")


def constructWords(bench: Bench, made: MadeSession, run: str, *more: str) -> list[str]:
    return [f"--session={made.name}", "--projectid=1", f"--preset={made.preset}", f"--runname={run}",
            f"--rundir={bench.folder}/appion/ctf/{run}", f"--fieldsize={BOX}", "--no-rejects", "--no-wait",
            "--parallel", "--jobtype=ctfestimate", *more]  # fmt: skip


def constructCtffindWords(bench: Bench, made: MadeSession, run: str, *more: str) -> list[str]:
    return constructWords(bench, made, run, "--ampcontrast=0.07", "--resmin=30", "--resmax=5", "--defstep=0.01",
                          "--numstep=100", "--dast=0.05", *more)  # fmt: skip


def isFive(program: Program) -> bool:
    return program.kind == "ctffind" and program.version.startswith("5.")


def checkRows(count: int, tolerance: float = 0.01) -> None:
    """All rows are there, with the truth in them."""
    rows = list(appiondata.ApCtfData.objects.all())
    assert len(rows) == count
    for row in rows:
        assert (row.defocus1, row.defocus2) == pytest.approx(DEFOCUS, rel=tolerance)
        assert abs((row.angle_astigmatism - ANGLE + 90) % 180 - 90) < 5
        assert row.confidence > 0.3
        assert row.cross_correlation > 0.03


@pytest.mark.parametrize("phase", [False, True], ids=["plain", "phase plate"])
def test_conversationAndFiles(ctffind, made, phase):
    """Every question is answered as the dry run says, and the files are where classic has them."""
    saveMicrographs(made, PHASE if phase else 0.0)
    search = ["--phase_plate", "--min_phase_shift=10", "--max_phase_shift=170", "--phase_search_step=10"]
    words = constructCtffindWords(ctffind, made, "talk", "--no-commit", *(search if phase else ()))
    dry = ctffind.start("ctffind4.py", *words, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    planned = {line["image_id"]: line for line in map(json.loads, dry.stdout.splitlines())}
    assert planned.keys() == set(made.image_ids)
    done = ctffind.start("ctffind4.py", *words)
    assert done.returncode == 0, done.stderr
    rundir = ctffind.folder / "appion" / "ctf" / "talk"
    records = readRecords(rundir)
    assert len(records) == 2, done.stderr
    planned_answers = [line["answers"] for _, line in sorted(planned.items())]
    for record, answers in zip(records, planned_answers, strict=True):
        assert dict(map(tuple, record["answers"])) == answers
        if phase:
            found = record["extra_phase_shift"]
            found = np.degrees(found) if found < 4 else found
            assert found == pytest.approx(PHASE, abs=8)
    pictures = list((rundir / "opimages").glob("*-pow.mrc"))
    assert [mrcfile.read(path).shape[-2:] for path in pictures] == [(BOX, BOX)] * 2
    assert len(list(rundir.glob("*-pow.txt"))) == 2
    assert len(list(rundir.glob("*-pow_avrot.txt"))) == 2
    heads = [path.read_text("utf-8", "replace").splitlines()[0] for path in (rundir / "logfiles").iterdir()]
    assert all(head.startswith(f"# {ctffind.program.label} (") for head in heads)
    assert len(heads) == 2


def test_rowsOfARun(ctffind, made):
    saveMicrographs(made)
    words = constructCtffindWords(ctffind, made, "ctf1", "--commit")
    done = ctffind.start("ctffind4.py", *words)
    assert done.returncode == 0, done.stderr
    checkRows(2)
    rundir = ctffind.folder / "appion" / "ctf" / "ctf1"
    for row in appiondata.ApCtfData.objects.all():
        assert row.ctffind4_resolution < 10
        assert (row.tilt_angle, row.tilt_axis_angle) == (None, None), "it was not asked for"
        assert all((rundir / "opimages" / graph).exists() for graph in (row.graph1, row.graph2, row.graph3, row.graph4))
    events = readEvents(rundir, "computed")
    assert {(one["program"], one["program_version"]) for one in events} == {
        (ctffind.program.kind, ctffind.program.version)
    }
    again = ctffind.start("ctffind4.py", *words)
    assert again.returncode == 0, again.stderr
    checkRows(2)


def test_tiltAndThickness(ctffind, made):
    """The sample is flat and without thickness. CTFFIND 4 cannot look for it: one warning, and the run goes on."""
    saveMicrographs(made)
    done = ctffind.start("ctffind5.py", *constructCtffindWords(
        ctffind, made, "tilt", "--commit", "--limit=1", "--sample_tilt", "--sample_thickness", "--2D_refinement"
    ))  # fmt: skip
    assert done.returncode == 0, done.stderr
    checkRows(1, tolerance=0.05)
    row = appiondata.ApCtfData.objects.get()
    rundir = ctffind.folder / "appion" / "ctf" / "tilt"
    if not isFive(ctffind.program):
        assert done.stderr.count("--sample_tilt and --sample_thickness: no effect with") == 1
        assert row.tilt_angle is None
        return
    assert 0 <= row.tilt_angle < 10
    assert 0 <= row.tilt_axis_angle <= 360
    assert any("thickness" in event for what in ("computed", "stored") for event in readEvents(rundir, what))


def test_inputThatIsNoMicrograph(ctffind, made):
    """One is cut off, one is constant, one is missing: nothing is stored of them, and each is explained."""
    saveMicrographs(made)
    more = makeSession(images=3, root=ctffind.folder, name="26mar20b", dimension=(SIDE, SIDE), binning=1,
                       pixelsize=1e-10, norm=False)  # fmt: skip
    saveMicrographs(more)
    paths = [Path(more.image_path) / f"{name}.mrc" for name in more.filenames]
    os.truncate(paths[0], os.path.getsize(paths[0]) // 2)
    saveMicrograph(paths[1], np.full((SIDE, SIDE), 7.0, np.float32))
    paths[2].unlink()
    done = ctffind.start("ctffind4.py", *constructCtffindWords(ctffind, more, "bad", "--commit"))
    assert done.returncode == 0, done.stderr
    assert appiondata.ApCtfData.objects.count() == 0
    rundir = ctffind.folder / "appion" / "ctf" / "bad"
    status = json.loads((rundir / ".appion" / "status.json").read_text())
    assert status["counts"]["waiting"] == 2, "what is cut off or missing may still come"
    assert status["counts"]["set aside"] == 1
    assert len(readEvents(rundir, "set aside")) == 1


def test_wrongAnswersEndTheProgram(ctffind, tmp_path):
    """What the conversation relies on: a file that is not there, and answers that run out, are exit codes."""
    for answers in (f"{tmp_path}/nowhere.mrc\n", ""):
        done = subprocess.run(
            [ctffind.program.path], input=answers, capture_output=True, text=True, cwd=tmp_path, timeout=600
        )
        assert done.returncode != 0
        assert "Error" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variable", "wanted", "command", "more"),
    [
        ("APPION_GCTF", "gctf", "gctf.py", ("--resmin=30", "--resmax=5", "--defstep=0.05", "--dast=0.1")),
        ("APPION_GCTFFIND", "gctffind", "gctffind.py", ("--ampcontrast=0.07",)),
    ],
)
def test_programsOnAGpu(made, tmp_path, variable, wanted, command, more):
    """A run with rows and files, then one on what is no micrograph."""
    bench = Bench(tmp_path, requireProgram(variable, wanted), f"{wanted}.executable")
    saveMicrographs(made)
    done = bench.start(command, *constructWords(bench, made, "gpu1", "--commit", *more))
    assert done.returncode == 0, done.stderr
    checkRows(2, tolerance=0.03)
    rundir = tmp_path / "appion" / "ctf" / "gpu1"
    assert len(list((rundir / "opimages").iterdir())) >= 4
    assert len(list((rundir / "logfiles").iterdir())) == 2
    assert {one["program"] for one in readEvents(rundir, "computed")} == {wanted}
    bad = makeSession(images=2, root=tmp_path, name="26mar20b", dimension=(SIDE, SIDE), binning=1, pixelsize=1e-10,
                      norm=False)  # fmt: skip
    saveMicrographs(bad)
    first, second = (Path(bad.image_path) / f"{name}.mrc" for name in bad.filenames)
    os.truncate(first, os.path.getsize(first) // 2)
    second.unlink()
    done = bench.start(command, *constructWords(bench, bad, "gpu2", "--commit", *more))
    assert done.returncode == 0, done.stderr
    assert appiondata.ApCtfData.objects.count() == 2
