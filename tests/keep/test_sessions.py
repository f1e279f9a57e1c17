"""Which sessions the keeper sees, and which runs others have, in databases of any age."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

import sinedon
from appion.keep.records import CTF, MOTION, FoundRun
from appion.keep.retrieve.others import readRuns
from appion.keep.retrieve.sessions import Watch
from sinedon.models import appiondata, leginondata, projectdata
from tests.services.sessions import addImages, makeSession


def makeNow(name="26nov27a", **fields):
    return makeSession(images=2, name=name, start=datetime.now(), **fields)


def look(watch):
    return {session.name: [(preset.name, preset.camera, preset.microscope, preset.format) for preset in session.presets]
            for session in watch.sessions.values()}  # fmt: skip


@pytest.mark.parametrize("engine", ["sqlitedatabase", "mariadatabase", "classicdatabase"])
def test_sessions_are_seen_as_they_come(request, engine):
    """Exposures with movies, by preset and camera; aligned images are none of them."""
    request.getfixturevalue(engine)
    made = makeNow(movie_format="mrc")
    watch = Watch(7)
    assert watch.update()
    assert look(watch) == {"26nov27a": [("enn", "GatanK3", "Krios", "mrc")]}
    assert not watch.update()
    (session,) = watch.sessions.values()
    assert session.projects == (1,)
    more = addImages(made, 1, datetime.now())
    assert watch.update()
    (session,) = watch.sessions.values()
    assert (session.presets[0].first, session.presets[0].last) == (made.image_ids[0], more.image_ids[-1])
    makeNow("26nov27b", movie_format="mrc")
    assert watch.update()
    assert set(look(watch)) == {"26nov27a", "26nov27b"}
    makeSession(images=1, name="26nov01x", start=datetime.now() - timedelta(days=20))
    assert set(look(Watch(7))) == set()
    fresh = Watch(7)
    fresh.update()
    assert set(look(fresh)) == {"26nov27a", "26nov27b"}


@pytest.mark.usefixtures("database")
def test_aligned_images_and_images_without_movies_are_no_exposures():
    made = makeNow()
    preset = sinedon.insertRow(leginondata.PresetData, session=made.session_id, name="enn-a-DW", magnification=1)
    camera = made.camera | {"align_frames": True}
    other = makeNow("26nov27b")
    for values, name in ((camera, "enn-a-DW"), (made.camera | {"save_frames": False}, "hln")):
        row = sinedon.addRow(leginondata.CameraEMData, **values)
        sinedon.addRow(leginondata.AcquisitionImageData, session=made.session_id, camera=row, filename=name,
                       preset=preset)  # fmt: skip
    watch = Watch(7)
    watch.update()
    assert look(watch)["26nov27a"] == look(watch)["26nov27b"] == [("enn", "GatanK3", "Krios", "tif")]
    sinedon.insertRow(leginondata.SessionDoneLog, session=other.session_id, done=True)
    assert watch.update()
    assert {session.name for session in watch.sessions.values() if session.finished} == {"26nov27b"}


@pytest.mark.parametrize("engine", ["sqlitedatabase", "classicdatabase"])
def test_runs_of_others_are_found_by_jobs_options_and_rows(request, engine):
    """A job tells its preset by its options; one in line, or a run of classic's, may be of any; ignored ones go."""
    request.getfixturevalue(engine)
    made = makeNow()
    paths = {name: sinedon.insertRow(appiondata.ApPathData, path=f"/data/{name}") for name in
             ("job", "queued", "ignored", "row", "ctf")}  # fmt: skip
    jobs = {}
    for name, status, jobtype in (("job", "D", "makeddrawframestack"), ("queued", "Q", "ctfestimate"),
                                  ("ignored", "I", "makeddrawframestack")):  # fmt: skip
        jobs[name] = sinedon.insertRow(
            appiondata.ApAppionJobData, name=f"{name}1.appionsub.job", session=made.session_id, path=paths[name],
            jobtype=jobtype, status=status,
        )  # fmt: skip
    program = sinedon.insertRow(appiondata.ScriptProgramRun, runname="job1", job=jobs["job"])
    names = [sinedon.insertRow(appiondata.ScriptParamName, name=name) for name in ("preset", "bin")]
    for name, value in zip(names, ("enn", "2"), strict=True):
        sinedon.insertRow(appiondata.ScriptParamValue, value=value, paramname=name, progrun=program)
    params = sinedon.insertRow(appiondata.ApDDStackParamsData, preset="esn", align=True, bin=1)
    sinedon.insertRow(appiondata.ApDDStackRunData, runname="row1", session=made.session_id, path=paths["row"],
                      params=params)  # fmt: skip
    sinedon.insertRow(appiondata.ApAceRunData, name="ctf1", session=made.session_id, path=paths["ctf"])
    watch = Watch(7)
    watch.update()
    assert set(readRuns(watch.sessions.values())) == {
        FoundRun(made.session_id, MOTION, "enn", "/data/job", "job1"),
        FoundRun(made.session_id, CTF, None, "/data/queued", "queued1"),
        FoundRun(made.session_id, MOTION, "esn", "/data/row", "row1"),
        FoundRun(made.session_id, CTF, None, "/data/ctf", "ctf1"),
    }


@pytest.mark.usefixtures("database")
def test_a_project_that_is_told_later_is_news():
    made = makeNow()
    watch = Watch(7)
    watch.update()
    sinedon.insertRow(projectdata.projectexperiments, project=2, session=made.session_id)
    assert watch.update()
    assert watch.sessions[made.session_id].projects == (2, 1)
