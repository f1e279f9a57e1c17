"""The example step, installed as a package of its own: it follows a session, is killed, and everything knows it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest

import sinedon
from appion.base.records.runfolder import eventsPath, journalPath, seriesPath
from appion.base.records.steps import Column, RegisteredStep, loadSteps
from sinedon.models import appiondata
from tests.ctfestimation.sessions import addAligned, makeDDStackRun
from tests.services.sessions import makeSession
from tests.services.waiting import waitFor
from tests.web.serving import runServer

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "carbonedge"
COUNT = 12
SETTINGS = {
    "CLUSTER": "local", "POLL": "0.2", "STEPS__SETTLE": "0", "ATTEMPTS": "1", "FREE_SPACE": "0", "PAUSE": "0.1",
    "STATUS_INTERVAL": "0.2", "ALARMS__EVERY": "0.2", "ALARMS__SETTLE": "0",
}  # fmt: skip
RULE = "[{'name': 'edge', 'number': 'edge_contrast', 'above': 9, 'last': 5}]"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that the example is installed in."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--no-build-isolation", "--no-index", "--target", folder / "site", folder / "source"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def run(site, database, tmp_path, monkeypatch):
    """A session with aligned micrographs of known contrast, and a run folder for them; who starts finds the example."""
    assert database.projectid == 1
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{ROOT}")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"DASK_APPION__{name}", value)
    made = makeSession(images=COUNT, root=tmp_path, dimension=(256, 256))
    stack = makeDDStackRun(made)
    images = [addAligned(made, image, stack) for image in made.image_ids]
    names = [f"{name}-a" for name in made.filenames]
    Path(made.image_path).mkdir(parents=True)
    for place, name in enumerate(names):
        saveMicrograph(Path(made.image_path, f"{name}.mrc"), 0.02 * (1 + place))
    sinedon.closeConnections()
    return SimpleNamespace(made=made, images=images, names=names, site=site, rundir=tmp_path / "appion" / "edge1")


def saveMicrograph(path: Path, contrast: float, mean: float = 1000.0) -> None:
    image = np.full((256, 256), mean * (1 + contrast / 2), np.float32)
    image[:100] = mean * (1 - contrast / 2)
    mrcfile.write(path, image + np.random.default_rng(1).normal(0, 1, image.shape).astype(np.float32), overwrite=True)


def constructLine(run, *options):
    return [sys.executable, run.site / "bin" / "carbonedge.py", f"--session={run.made.name}", "--projectid=1",
            "--preset=enn-a", "--runname=edge1", f"--rundir={run.rundir}", "--no-wait", *options]  # fmt: skip


def follow(run, *options):
    return subprocess.run(constructLine(run, *options), capture_output=True, text=True, timeout=600)


def ask(*words):
    command = [sys.executable, ROOT / "bin" / "appion", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def readLines(path):
    """The lines that are whole; each line of the series has to be."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def countEvents(run, what):
    return Counter(event["image"] for event in readLines(eventsPath(run.rundir)) if event.get("what") == what)


def checkOnce(run):
    """Each micrograph has its line, and none was told of or computed twice, but for what was in work at a kill."""
    lines = readLines(seriesPath(run.rundir))
    assert sorted(line["image"] for line in lines) == sorted(run.images)
    for line in lines:
        assert line["edge_contrast"] == pytest.approx(2 * (1 + run.images.index(line["image"])), rel=0.1)
    assert set(countEvents(run, "stored").values()) == {1}
    assert set(countEvents(run, "computed").values()) <= {1}
    assert list(journalPath(run.rundir, 1).parent.glob("*.json")) == []


def test_it_follows_a_session_and_everything_knows_its_number(run, tmp_path, monkeypatch):
    bad = Path(run.made.image_path, f"{run.names[3]}.mrc")
    saveMicrograph(bad, 0.1, mean=0.0)
    told = tmp_path / "told"
    monkeypatch.setenv("DASK_APPION__ALARMS__RULES", RULE)
    receiver = f"[{{'command': ['sh', '-c', 'cat >> {told}; echo >> {told}']}}]"
    monkeypatch.setenv("DASK_APPION__ALARMS__RECEIVERS", receiver)
    dry = follow(run, "--dry-run")
    assert (dry.returncode, len(dry.stdout.splitlines())) == (0, COUNT), dry.stderr
    assert json.loads(dry.stdout.splitlines()[0])["options"] == {"blocks": 64}
    assert not run.rundir.exists()
    refused = follow(run, "--no-commit")
    assert refused.returncode == 2
    assert "stores numbers in its run folder only" in refused.stderr
    done = follow(run)
    assert done.returncode == 0, done.stderr
    assert '"text": "contrast of the edge 2' in told.read_text()
    job = appiondata.ApAppionJobData.objects.get()
    assert (job.jobtype, job.status, job.path.path) == ("carbonedge", "D", str(run.rundir))
    failures = ask("failures", run.rundir)
    assert "parts without counts" in failures.stdout
    assert "contrast of the edge 4.0 %" in ask("explain", run.rundir, run.names[1]).stdout

    saveMicrograph(bad, 0.08)
    assert ask("retry", run.rundir, run.names[3]).returncode == 0
    assert follow(run).returncode == 0
    checkOnce(run)
    others = follow(run, "--blocks=32")
    assert others.returncode == 2
    assert "--blocks 64, now 32" in others.stderr
    exported = ask("export", run.rundir, "--csv", "--out", tmp_path / "out", "--where", "edge_contrast > 23")
    assert exported.returncode == 0, exported.stderr
    (row,) = csv.DictReader((tmp_path / "out" / "exposures.csv").read_text().splitlines())
    assert int(row["image"]) == run.images[-1]
    assert float(row["edge_contrast"]) == pytest.approx(24, rel=0.1)
    reported = ask("report", run.rundir, "--out", tmp_path / "report.html")
    assert reported.returncode == 0, reported.stderr
    assert "contrast of the edge" in (tmp_path / "report.html").read_text()
    checkPages(run, monkeypatch)


def checkPages(run, monkeypatch):
    """The page of the session has the numbers of the run beside the exposures that the micrographs were made of."""
    monkeypatch.setenv("DASK_APPION__WEB__LIMITS", "{'edge_contrast': 5}")
    with runServer() as server:
        page = f"session/{run.made.name}/"
        columns = {one["name"]: one for one in json.loads(server.ask(f"{page}columns.json").content)}
        shown = {name: columns["edge_contrast"][name] for name in ("unit", "better", "threshold", "step")}
        assert shown == {"unit": "%", "better": "low", "threshold": 5, "step": "carbonedge"}
        assert '<select name="carbonedge">' in server.ask(page).content.decode()
        answer = json.loads(server.ask(f"{page}series.json").content)
        assert dict(zip(answer["order"], answer["columns"]["edge_contrast"], strict=True)) == pytest.approx(
            {image: 2 * (1 + place) for place, image in enumerate(run.made.image_ids)}, rel=0.1
        )
        assert set(answer["states"]) == {"corrected"}  # by the run whose row is there
        assert answer["summary"]["good"].startswith("2 of 12 are good")
        exposure = server.ask(f"{page}exposure/{run.made.image_ids[0]}/").content.decode()
        assert "Carbon edge (edge1)" in exposure
        assert "2.0 %" in exposure
        (row,) = json.loads(server.ask("facility.json").content)["rows"]
        assert (row["kind_words"], row["run"], row["trend_words"]) == ("carbon edge", "edge1", "contrast of the edge")
        assert server.ask(f"{page}series.json?carbonedge=0").status == 200
        assert server.ask(f"{page}series.json?carbonedge=12345").status == 404


def test_killed_at_any_point_it_computes_nothing_twice(run):
    for stored in (1, 6):
        daemon = subprocess.Popen(constructLine(run), stderr=subprocess.DEVNULL, start_new_session=True)
        waitFor(lambda stored=stored, daemon=daemon: len(countEvents(run, "stored")) >= stored
                or daemon.poll() is not None)  # fmt: skip
        daemon.kill()
        daemon.wait()
    done = follow(run)
    assert done.returncode == 0, done.stderr
    checkOnce(run)
    before = eventsPath(run.rundir).read_text()
    assert follow(run).returncode == 0
    assert "submitted" not in eventsPath(run.rundir).read_text().removeprefix(before)


def test_killed_before_and_after_its_line_was_written(run):
    """What is computed and has no line gets one; what has one and is still in the journal gets no second."""
    seriesPath(run.rundir).parent.mkdir(parents=True)
    seriesPath(run.rundir).symlink_to(run.rundir / "away" / "series")  # takes no line
    daemon = subprocess.Popen(constructLine(run), stderr=subprocess.DEVNULL, start_new_session=True)
    waitFor(lambda: len(countEvents(run, "computed")) == COUNT or daemon.poll() is not None)
    daemon.kill()
    daemon.wait()
    assert countEvents(run, "stored") == {}
    seriesPath(run.rundir).unlink()
    record = journalPath(run.rundir, run.images[0])
    shutil.copy2(record, run.rundir / "kept")
    handed_out = countEvents(run, "submitted")
    assert follow(run).returncode == 0
    checkOnce(run)
    shutil.copy2(run.rundir / "kept", record)
    assert follow(run).returncode == 0
    checkOnce(run)
    assert countEvents(run, "submitted") == handed_out


def test_its_own_tests_pass_and_it_is_short(site):
    files = [path for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")]
    assert sum(len(path.read_text().splitlines()) for path in files) < 200
    assert {path.name for path in files} == {"pyproject.toml", "__init__.py", "edge.py", "command.py", "test_edge.py"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", EXAMPLE]
    done = subprocess.run(
        [*command, EXAMPLE], capture_output=True, text=True, timeout=600,
        env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=site,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


GOOD = RegisteredStep("ice", "ice", (Column("ice_thickness", "thickness of the ice", "Å", 0),))
WRONG = {
    "another": "its name 'ctf' is taken",
    "absent": "ModuleNotFoundError",
    "number": "it is no RegisteredStep",
    "empty": "it has no column",
    "taken": "column 'drift' is taken",
    "worded": "needs words and digits",
}


def test_a_step_of_no_use_is_left_out_and_told_of(tmp_path, monkeypatch):
    package = tmp_path / "ice-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: ice\nVersion: 1\n")
    points = [f"{name} = {'nowhere' if name == 'absent' else 'icestep'}:{name}" for name in ("good", *WRONG)]
    (package / "entry_points.txt").write_text("\n".join(["[appion.steps]", *points]))
    (tmp_path / "icestep.py").write_text(
        "from appion.base.records.steps import Column, RegisteredStep\n"
        "from tests.examples.test_carbonedge import GOOD as good\n"
        "another = RegisteredStep('ctf', 'x', (Column('x', 'x', '', 1),))\n"
        "number = 5\n"
        "empty = RegisteredStep('empty', 'x', ())\n"
        "taken = RegisteredStep('taken', 'x', (Column('drift', 'x', '', 1),))\n"
        "worded = RegisteredStep('worded', 'x', (Column('x', 'x'),))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    steps, problems = loadSteps(["drift"])
    assert steps == (GOOD,)
    assert len(problems) == len(WRONG)
    for name, words in WRONG.items():
        (problem,) = [one for one in problems if one.startswith(f"step {name} of package ice ")]
        assert words in problem
