"""Reading by pages gives what reading at once gives, by few statements."""

from __future__ import annotations

import random

import pytest

import sinedon
from appion.base.cli.options import constructParser, parseArguments
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.session import readSession
from appion.ctfestimation.retrieve import done as ctfdone
from appion.motioncorrection.records import MotionCorrectionOptions
from appion.motioncorrection.retrieve.done import retrieveDone
from sinedon import pages, readPages
from sinedon.models import appiondata, leginondata
from tests.services.sessions import addImages, insertMany, makeSession


def take(made, names, preset, **more):
    """Insert images of a preset, one for each name, all of one camera and microscope row."""
    camera = leginondata.CameraEMData.objects.create(session_id=made.session_id, save_frames=True, **more)
    scope = leginondata.ScopeEMData.objects.create(session_id=made.session_id, stage_position_a=0.6)
    rows = [{"session": made.session_id, "camera": camera.def_id, "scope": scope.def_id, "preset": preset,
             "filename": name} for name in names]  # fmt: skip
    return insertMany(leginondata.AcquisitionImageData, rows)


@pytest.fixture
def mixed(anydatabase):  # noqa: ARG001
    """A session of 60 exposures among which those of another stand, half of them with plain and weighted results."""
    other = makeSession(images=1, name="26mar20b")
    made = makeSession(images=20)
    dosed = sinedon.copyRow(leginondata.PresetData, made.preset_id, name="enn-a-DW")
    plain = sinedon.copyRow(leginondata.PresetData, made.preset_id, name="enn-a")
    run = sinedon.insertRow(appiondata.ApDDStackRunData, runname="run1", session=made.session_id).def_id
    ctf = sinedon.insertRow(appiondata.ApAceRunData, name="ctf1", session=made.session_id).def_id
    for portion in range(3):
        other = addImages(other, 13 * portion)
        sources = made.image_ids[20 * portion : 20 * portion + 20 : 2]
        for preset, share in ((plain, 1), (dosed, 2)):
            results = take(made, [f"{one}-{preset}" for one in sources], preset, align_frames=True)
            insertMany(appiondata.ApDDAlignImagePairData,
                       [{"source": source, "result": result, "ddstackrun": run}
                        for source, result in list(zip(sources, results, strict=True))[::share]])  # fmt: skip
        insertMany(appiondata.ApCtfData, [{"image": one, "acerun": ctf} for one in sources])
        insertMany(leginondata.ViewerImageStatus, [{"image": one, "status": "hidden"} for one in sources[::3]])
        insertMany(appiondata.ApAssessmentData, [{"image": one, "selectionkeep": 1} for one in sources])
        if portion < 2:
            made = addImages(made, 20)
    return made, run, ctf


def readAll(made, run, ctf, caplog):
    """Everything that is read by pages, and what is said of it."""
    caplog.clear()
    found = {}
    for words in ([], ["--preset=enn"], ["--tiltangle=hightilt", "--startimgid=30"], ["--no-rejects"],
                  ["--best-images", "--preset=enn"], ["--preset=enn-a"],
                  [f"--mrclist={made.filenames[3]},{made.filenames[50]},x", "--no-rejects"]):  # fmt: skip
        for aligned in (False, True) if len(words) == 1 else (False,):
            args = parseArguments(constructParser("program.py"), [f"--session={made.name}", *words])
            candidates, rejected = constructSelection(args, readSession(args), aligned=aligned)
            try:
                listed = [(one.image_id, one.filename) for one in candidates(0)]
                later = [one.image_id for one in candidates(made.image_ids[40])]
                found[*words, aligned] = listed, later, list(rejected())
            except ConfigurationFailure as failure:
                found[*words, aligned] = str(failure)
    options = [MotionCorrectionOptions(doseweight=weighted) for weighted in (False, True)]
    found["done"] = [list(retrieveDone(run, made.session_id, one)) for one in options]
    found["ctf"] = list(ctfdone.retrieveDone(ctf))
    return found, list(caplog.messages)


def test_pages_give_what_is_read_at_once(mixed, anydatabase, caplog, monkeypatch):
    expected = readAll(*mixed, caplog)
    done = expected[0]["done"]
    assert (len(done[0]), len(done[1]), len(expected[0]["ctf"])) == (30, 15, 30)
    assert len(expected[0]["--preset=enn", False][0]) == 60
    for size in (7, 20, 60) if anydatabase.engine == "sqlite" else (20,):
        monkeypatch.setattr(pages, "PAGE", size)
        assert readAll(*mixed, caplog) == expected, size


@pytest.mark.usefixtures("database")
def test_few_statements_for_many_rows_however_their_ids_are_spread(monkeypatch):
    chosen = random.Random(1)
    ids = sorted({*range(5_000_000, 5_000_300), *chosen.sample(range(6_000_000, 9_000_000), 300),
                  *range(9_500_000, 9_500_300)})  # fmt: skip
    insertMany(leginondata.SessionDoneLog, [{"def_id": one, "done": one % 3 == 0} for one in ids])
    monkeypatch.setattr(pages, "PAGE", 50)
    with sinedon.countQueries() as queries:
        found = [row for page in readPages(leginondata.SessionDoneLog.objects.all(), "done") for row in page]
    assert found == [(one, one % 3 == 0) for one in ids]
    assert queries.count < 4 * len(ids) / 50 + 40
    with sinedon.countQueries() as queries:
        few = [row for page in readPages(leginondata.SessionDoneLog.objects.all(), after=ids[-9]) for row in page]
    assert few == [(one,) for one in ids[-8:]]
    assert queries.count == 1
