"""P20: `appion explain` answers what happened to an exposure, word for word as in data/explain.txt."""

from __future__ import annotations

import os
import re
from pathlib import Path

import mrcfile
import numpy
import pytest

import sinedon
from appion.base.retrieve.events import readEvents
from sinedon.models import leginondata
from tests.faults.test_daemon import FRAMES, SIDE, Daemon, makeExposures, renameMovies, writeMovies
from tests.services.waiting import waitFor

GOLDEN = Path(__file__).parent / "data" / "explain.txt"

#: What differs from run to run.
VARIABLE = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?": "TIME",
    r"\b\d\d:\d\d(:\d\d)?\b": "TIME",
    r"\b(seconds|store_seconds|retry_in)=[\d.]+": r"\1=N",
    r"(from exposure to result) \d+ s": r"\1 N s",
    r"\bworker\d": "workerN",
    r"-Gpu \d": "-Gpu N",
    r"/scratch/[^/\s]+": "/scratch/N",
    r"\d+ bytes": "N bytes",
}


def explain(daemon, image_id):
    """What is told of an exposure, with whatever differs from run to run replaced."""
    done = daemon.appion("explain", str(daemon.rundir), str(image_id))
    assert done.returncode == 0, done.stderr
    told = done.stdout.replace(str(daemon.folder), "FOLDER").replace(os.uname().nodename, "HOST")
    for pattern, word in VARIABLE.items():
        told = re.sub(pattern, word, told)
    return told


@pytest.mark.usefixtures("sqlitedatabase")
def test_P20_explain_tells_what_happened_to_each_exposure(tmp_path):
    """One that came late, one that was hidden, two that a killed daemon was at, and one that the program dies of."""
    made = makeExposures(tmp_path, 5)
    writeMovies(made, missing=1)
    late, hidden = made.image_ids[:2]
    sinedon.insertRow(leginondata.ViewerImageStatus, session=made.session_id, image=hidden, status="hidden")
    daemon = Daemon(tmp_path, made, attempts=2, motioncorrection__check_orientation=0)

    def told(what):
        return {event["image"] for event in readEvents(daemon.rundir) if event["what"] == what}

    process = daemon.start("--no-wait", seconds=100)
    waitFor(lambda: told("submitted") == set(made.image_ids[2:]) and told("waiting") == {late})
    process.kill()
    process.wait()
    renameMovies(made, "crash")
    daemon.finish("--no-wait", timeout=300)
    with mrcfile.new(Path(made.frame_path) / f"{made.filenames[0]}.frames.mrc") as movie:
        movie.set_data(numpy.ones((FRAMES, SIDE, SIDE), numpy.int16))
    sinedon.insertRow(leginondata.ViewerImageStatus, session=made.session_id, image=hidden, status="")
    daemon.finish("--no-wait", timeout=300)
    stories = "\n".join(explain(daemon, image_id) for image_id in made.image_ids)
    assert stories == GOLDEN.read_text(), stories
