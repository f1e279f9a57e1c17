"""Which images are candidates, whose files get which name, what is done, what --reprocess leaves out."""

from types import SimpleNamespace

import pytest

import sinedon
from appion.base.cli.options import parseArguments
from appion.base.retrieve.session import readSession
from appion.ctfestimation.cli.options import constructCtffindParser
from appion.ctfestimation.retrieve.done import retrieveDone
from appion.ctfestimation.retrieve.params import retrieveParams
from appion.ctfestimation.retrieve.selection import chooseShortName, constructCTFSelection
from sinedon.models import appiondata
from tests.ctfestimation.sessions import addAligned, addCTF, makeContext, makeDDStackRun, renameImage
from tests.services.sessions import addImages, insertMany, makeSession


def select(made, *options):
    args = parseArguments(constructCtffindParser("ctffind4.py"), [f"--session={made.name}", *options])
    return SimpleNamespace(**dict(zip(("candidates", "rejected", "owners"),
                                      constructCTFSelection(args, readSession(args)), strict=True)))  # fmt: skip


def getIds(candidates):
    return [one.image_id for one in candidates]


@pytest.mark.usefixtures("anydatabase")
def test_alignedImagesAreInputs():
    made = makeSession(images=2)
    run = makeDDStackRun(made)
    aligned = [addAligned(made, source, run) for source in made.image_ids]
    assert getIds(select(made, "--preset=enn-a").candidates(0)) == aligned
    assert getIds(select(made, "--preset=enn").candidates(0)) == list(made.image_ids)
    assert getIds(select(made).candidates(0)) == [*made.image_ids, *aligned]
    chosen = select(made, "--preset=enn-a")
    assert getIds(chosen.candidates(0)) == aligned
    later = addImages(made, 1)
    new = addAligned(later, later.image_ids[-1], run)
    assert getIds(chosen.candidates(aligned[-1])) == [new]


@pytest.mark.usefixtures("anydatabase")
def test_reprocessLeavesOutWhatIsGood():
    made = makeSession(images=4)
    good, bad, unknown, rivals = made.image_ids
    addCTF(good, confidence=0.8, confidence_d=0.3)
    addCTF(bad, confidence=0.5, confidence_d=0.1)
    addCTF(rivals, confidence=0.9, resolution_80_percent=8.0)
    addCTF(rivals, confidence=0.2, confidence_d=None, resolution_80_percent=4.0)
    chosen = select(made, "--reprocess=0.5")
    assert getIds(chosen.candidates(0)) == [bad, unknown, rivals]
    addCTF(bad, confidence=0.9, resolution_80_percent=2.0)
    assert getIds(chosen.candidates(0)) == [bad, unknown, rivals]
    assert getIds(select(made, "--reprocess=0.5").candidates(0)) == [unknown, rivals]


@pytest.mark.usefixtures("database")
def test_imagesOfOneShortNameAreKeptApart():
    made = renameImage(makeSession(images=3), 1, "26mar19a_00001enn_v01")
    chosen = select(made)
    chosen.candidates(0)
    found = retrieveParams(made.image_ids, makeContext(owners=chosen.owners))
    first, second, third = (found[image_id].params.name for image_id in made.image_ids)
    assert (first, second, third) == ("26mar19a_01enn", f"26mar19a_01enn_{made.image_ids[1]}", "26mar19a_03enn")
    assert chooseShortName(5, "26mar19a_00009enn", {}) == "26mar19a_09enn"


@pytest.mark.usefixtures("anydatabase")
def test_doneAndReprocessTakeFewQueries():
    made = makeSession(images=300)
    run = sinedon.insertRow(appiondata.ApAceRunData, name="ctf1", session=made.session_id).def_id
    rows = ({"image": image_id, "acerun": run, "confidence": 0.9, "defocus1": 1e-6, "defocus2": 1e-6}
            for image_id in made.image_ids[:200])  # fmt: skip
    insertMany(appiondata.ApCtfData, rows)
    with sinedon.countQueries() as queries:
        assert retrieveDone(run) == set(made.image_ids[:200])
    assert queries.count == 1
    assert retrieveDone(None) == set()
    plain, chosen = select(made), select(made, "--reprocess=0.5")
    with sinedon.countQueries() as queries:
        plain.candidates(0)
    before = queries.count
    with sinedon.countQueries() as queries:
        assert getIds(chosen.candidates(0)) == list(made.image_ids[200:])
    assert queries.count - before <= 3
