"""`appion ingest --what=ctf`: fits of CryoSPARC's as rows, with what we compute ourselves of the micrographs."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest

import sinedon
from appion.ctfestimation.calc.internal import calcCTFConfidence
from sinedon.models import appiondata, leginondata
from tests.cryosparc import Made, Project, turnFromLeginon
from tests.ctfestimation.sessions import addAligned, makeDDStackRun
from tests.ctfestimation.simulated import simulateMicrograph
from tests.motioncorrection import test_ingest
from tests.services.sessions import makeSession

SIDE = 512
#: Smaller and larger defocus (m), axis of the smaller one (degrees) as Leginon's micrograph lies.
FIT = 1.50052e-6, 1.6005e-6, 30.0


@pytest.fixture(autouse=True)
def _large(monkeypatch):
    monkeypatch.setattr("tests.cryosparc.SHAPE", (SIDE, SIDE))
    monkeypatch.setattr("tests.cryosparc.PIXEL", 1.0)


def makeSums(tmp_path, flip=False, rotate=0, images=2):
    """Make a session whose exposures have been aligned, weighted by dose, and are in CryoSPARC as they lie there."""
    session = makeSession(images=images, nframes=6, root=tmp_path, dimension=(SIDE, SIDE), binning=1, pixelsize=1e-10,
                          frame_flip=flip, frame_rotate=rotate, norm=False)  # fmt: skip
    run, made, ids = makeDDStackRun(session), [], []
    Path(session.image_path).mkdir(parents=True)
    for number, (image_id, name) in enumerate(zip(session.image_ids, session.filenames, strict=True)):
        picture = simulateMicrograph((SIDE, SIDE), 1.0, *FIT, bfactor=20.0, snr=1.0, seed=number)
        ids.append(addAligned(session, image_id, run, "a-DW"))
        path = Path(session.image_path, f"{name}-a-DW.mrc")
        with mrcfile.new(path) as mrc:
            mrc.set_data(picture)
        os.utime(path, (1e9, 1e9))
        # As CryoSPARC's micrograph lies, the axis of the larger defocus: by hand for each way that a camera turns.
        angle = math.radians(FIT[2] + 90 + 90 * rotate)
        angle = angle if flip else -angle
        made.append(Made(f"{session.frame_path}/{name}.frames.tif", 2000 + number,
                         image=turnFromLeginon(picture, flip, rotate),
                         defocus=(FIT[1] * 1e10, FIT[0] * 1e10, angle + number * math.pi)))  # fmt: skip
    return session, made, ids


def run(session, tmp_path, folder, *more):
    return test_ingest.run(session, tmp_path, folder, f"--preset={session.preset}-a-DW", *more, what="ctf", name="ctf1")


def checkRows(session, ids, rundir):
    rows = {row.image_id: row for row in appiondata.ApCtfData.objects.all()}
    assert sorted(rows) == sorted(ids)
    for image_id, row in rows.items():
        image = leginondata.AcquisitionImageData.objects.get(pk=image_id)
        picture = mrcfile.read(Path(session.image_path, f"{image.filename}.mrc"))
        found = calcCTFConfidence(picture, 1.0, *FIT, 2.7, 300e3, 0.1)
        expected = asdict(found) | {
            "angle_astigmatism": FIT[2], "extra_phase_shift": 0.0, "cross_correlation": 0.42,
            "confidence": max(found.confidence_30_10, found.confidence_5_peak), "ctffind4_resolution": 3.5, "cs": 2.7,
            "amplitude_contrast": 0.1,
        }  # fmt: skip
        assert {name: getattr(row, name) for name in expected} == pytest.approx(expected, abs=1e-4)
        assert (row.defocus1, row.defocus2) == pytest.approx(FIT[:2], rel=1e-6)
        assert row.confidence > 0.6
        assert row.graph1.endswith("-powerspec.jpg")
        assert all((rundir / "opimages" / name).is_file() for name in (row.graph1, row.graph2))
        assert (row.confidence_d, row.defocusinit, row.tilt_angle) == (None, None, None)


@pytest.mark.parametrize(("flip", "rotate"), [(False, 0), (True, 0), (False, 1), (True, 3)])
@pytest.mark.usefixtures("database")
def test_fitsOfMoviesHaveTheAxisOfTheMicrographThatWeHave(tmp_path, flip, rotate):
    session, made, ids = makeSums(tmp_path, flip, rotate)
    folder = Project(tmp_path / "P1").makeJob("J4", made)
    rundir = tmp_path / "appion" / session.name / "cryosparc" / "ctf1"
    assert run(session, tmp_path, folder) == 0
    checkRows(session, ids, rundir)
    params = appiondata.ApAceRunData.objects.get().ctffind4_params
    assert (params.bestdb, params.fieldsize, params.resmin, params.defstep) == (False, 512, None, None)
    assert "ctf_stats/ice_thickness_rel 1.08" in next((rundir / "logfiles").iterdir()).read_text()
    assert run(session, tmp_path, folder) == 0
    assert appiondata.ApCtfData.objects.count() == len(ids)


@pytest.mark.usefixtures("database")
def test_fitsOfImportedSumsAreTakenAsTheyAre(tmp_path):
    session, made, ids = makeSums(tmp_path)
    angle = math.radians(FIT[2] + 90)
    made = [
        replace(one, micrograph=f"{session.image_path}/{name}-a-DW.mrc", defocus=(*one.defocus[:2], angle))
        for one, name in zip(made, session.filenames, strict=True)
    ]
    folder = Project(tmp_path / "P1").makeJob("J4", made)
    assert run(session, tmp_path, folder) == 0
    checkRows(session, ids, tmp_path / "appion" / session.name / "cryosparc" / "ctf1")


@pytest.mark.usefixtures("database")
def test_aSessionIsFollowedAsItsStagesAllow(tmp_path):
    session, made, ids = makeSums(tmp_path, images=3)
    project = Project(tmp_path / "P1")
    folder = project.makeSession("S1", made, stage={2001: "ctf"}, failed={2002: True}, fail_reason={2002: "no beam"})
    assert run(session, tmp_path, folder) == 0
    assert {row.image_id for row in appiondata.ApCtfData.objects.all()} == {ids[0]}
    rundir = tmp_path / "appion" / session.name / "cryosparc" / "ctf1"
    text = (rundir / "cryosparc-unmatched.txt").read_text()
    assert "exposure 2002" in text
    assert "it failed in CryoSPARC: no beam" in text
    assert "CryoSPARC's exposure 2001 has no CTF yet" in (rundir / ".appion" / "events.jsonl").read_text()
    project.makeSession("S1", made)
    assert run(session, tmp_path, folder) == 0
    assert {row.image_id for row in appiondata.ApCtfData.objects.all()} >= {ids[0], ids[1]}
    assert np.isfinite([row.confidence for row in appiondata.ApCtfData.objects.all()]).all()
    sinedon.setup(1)


@pytest.mark.parametrize(("sign", "code", "verdict"), [(1, 0, "fits as it is"), (-1, 1, "MIRRORED fits better")])
@pytest.mark.usefixtures("database")
def test_theCheckTellsWhichWayTheAngleRuns(tmp_path, monkeypatch, capsys, sign, code, verdict):
    """Of micrographs large and astigmatic enough."""
    monkeypatch.setattr("tests.cryosparc.SHAPE", (1024, 1024))
    monkeypatch.setattr("tests.ctfestimation.test_ingest.SIDE", 1024)
    monkeypatch.setattr("tests.ctfestimation.test_ingest.FIT", (1.4e-6, 1.7e-6, 30.0))
    session, made, _ = makeSums(tmp_path)
    made = [replace(one, defocus=(*one.defocus[:2], sign * one.defocus[2])) for one in made]
    folder = Project(tmp_path / "P1").makeJob("J4", made)
    told = run(session, tmp_path, folder, "--check"), capsys.readouterr().out
    assert f"axis of astigmatism: {verdict}" in told[1]
    assert told[0] == code
    assert appiondata.ApCtfData.objects.count() == 0
