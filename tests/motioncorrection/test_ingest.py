"""`appion ingest --what=motion`: a session, a folder of CryoSPARC's, rows and files at the end, computed by hand."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import dask.config
import mrcfile
import numpy as np
import pytest
import starfile
from scipy.ndimage import gaussian_filter

import sinedon
from appion.base.records.cryosparc import CryosparcMotion
from appion.cli import main as mainAppion
from appion.cli.ingest import main
from appion.motioncorrection.calc.external.cryosparc import followFrames
from sinedon.models import appiondata, leginondata
from tests.cryosparc import FRAMES, PIXEL, SHAPE, Made, Project, calcDistance, turnFromLeginon
from tests.motioncorrection.samples import makeParams
from tests.services.sessions import makeSession

MANY = 2000
ROOT = Path(__file__).parents[2]
SETTINGS = {
    "workers": 1, "poll": 0.5, "recheck": 0.2, "nowait_patience": 1, "attempts": 1, "free_space": 0,
    "motioncorrection.settle": 0, "ctfestimation.settle": 0,
}  # fmt: skip


def makePicture(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(shape[0] * 4, shape[1] * 4))
    return gaussian_filter(noise, 3)[: shape[0], : shape[1]].astype(np.float32) * 100


def makeSite(tmp_path, images=3, flip=False, rotate=0, projectid=1, pictures=True, **more):
    """Make a session, Leginon's pictures, and its exposures as CryoSPARC has them."""
    rows, columns = SHAPE if rotate % 2 == 0 else SHAPE[::-1]
    session = makeSession(images=images, nframes=FRAMES, root=tmp_path, dimension=(columns, rows), binning=1,
                          pixelsize=PIXEL * 1e-10, frame_flip=flip, frame_rotate=rotate, norm=False,
                          projectid=projectid)  # fmt: skip
    folder = Path(session.image_path)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, name in enumerate(session.filenames):
        picture = makePicture(number, (rows, columns))
        if pictures:
            with mrcfile.new(folder / f"{name}.mrc") as mrc:
                mrc.set_data(picture)
        image = turnFromLeginon(picture, flip, rotate)
        made.append(Made(f"{session.frame_path}/{name}.frames.tif", 1000 + number, image=image, **more))
    return session, made


def run(session, tmp_path, folder, *more, what="motion", name="cs1"):
    words = [
        f"--cryosparc={folder}", f"--what={what}", f"--session={session.name}", "--projectid=1",
        f"--runname={name}", f"--rundir={tmp_path}/appion/{session.name}/cryosparc/{name}", "--commit", "--no-wait",
        *([] if any(word.startswith("--preset") for word in more) else [f"--preset={session.preset}"]), *more,
    ]  # fmt: skip
    with dask.config.set({f"appion.{key}": value for key, value in SETTINGS.items()}):
        code = main(words)
    sinedon.setup(1)
    return code


@pytest.mark.parametrize(("flip", "rotate"), [(False, 0), (True, 0), (False, 1), (True, 3)])
@pytest.mark.usefixtures("database")
def test_aJobIsStoredOnceAndAsComputedByHand(tmp_path, flip, rotate):
    session, made = makeSite(tmp_path, flip=flip, rotate=rotate)
    folder = Project(tmp_path / "P1", prefixed=True).makeJob("J3", made)
    assert run(session, tmp_path, folder) == 0
    pairs = list(appiondata.ApDDAlignImagePairData.objects.order_by("def_id"))
    assert sorted(pair.source_id for pair in pairs) == sorted(2 * session.image_ids)
    images = sinedon.readRows(leginondata.AcquisitionImageData, [pair.result_id for pair in pairs])
    for number, name in enumerate(session.filenames):
        for label in ("a", "a-DW"):
            stored = mrcfile.read(Path(session.image_path) / f"{name.replace('enn', f'enn-{label}')}.mrc")
            shape = SHAPE if rotate % 2 == 0 else SHAPE[::-1]
            assert np.array_equal(stored, makePicture(number, shape))
            assert stored.dtype == np.float32
    cameras = sinedon.readRows(leginondata.CameraEMData, [image.camera_id for image in images.values()])
    assert {(row.dimension_x, row.dimension_y) for row in cameras.values()} == {shape[::-1]}
    # the path of `Made`, from frame 3, the middle one of six, y the other way: written down by hand
    xs, ys = [-1.25, -0.75, -0.25, 0.0, 0.25, 0.25], [-2.25, -1.5, -0.5, 0.0, 0.5, 1.0]
    for row in appiondata.ApDDFrameTrajectoryData.objects.all():
        assert (row.pos_x, row.pos_y) == (pytest.approx(xs), pytest.approx(ys))
        assert (row.number_of_positions, row.reference_index) == (6, 3)
    for row in appiondata.ApDDAlignStatsData.objects.all():
        assert row.apix == pytest.approx(PIXEL)
        assert (row.top_shift1_value, row.top_shift1_index) == (pytest.approx(1.11803, abs=1e-5), 1)
    before = {path: path.stat().st_mtime_ns for path in Path(session.image_path).iterdir()}
    assert run(session, tmp_path, folder) == 0
    assert {path: path.stat().st_mtime_ns for path in Path(session.image_path).iterdir()} == before
    assert appiondata.ApDDAlignImagePairData.objects.count() == 6
    assert appiondata.ApDDStackRunData.objects.count() == 1
    assert os.listdir(folder / "motioncorrected")


@pytest.mark.usefixtures("database")
def test_aSumThatLiesOtherwiseIsNotStored(tmp_path, capsys):
    session, made = makeSite(tmp_path)
    folder = Project(tmp_path / "P1").makeJob("J3", [replace(one, image=one.image[::-1]) for one in made])
    assert run(session, tmp_path, folder) == 2
    error = capsys.readouterr().err
    assert "ORIENTATION: CryoSPARC's sum of" in error
    assert "begin again with --as-stored" in error
    assert appiondata.ApDDAlignImagePairData.objects.count() == 0
    assert run(session, tmp_path, folder, "--as-stored", name="cs2") == 0
    assert appiondata.ApDDAlignImagePairData.objects.count() == 6
    row = appiondata.ApDDFrameTrajectoryData.objects.first()
    assert row.pos_y == pytest.approx([2.25, 1.5, 0.5, 0.0, -0.5, -1.0])


@pytest.mark.usefixtures("database")
def test_anotherFolderUnderTheSameNameIsRefused(tmp_path, capsys):
    session, made = makeSite(tmp_path, images=1)
    project = Project(tmp_path / "P1")
    assert run(session, tmp_path, project.makeJob("J3", made)) == 0
    assert run(session, tmp_path, project.makeJob("J4", made)) == 2
    assert "has results of other options: --cryosparc" in capsys.readouterr().err


@pytest.mark.usefixtures("database")
def test_aSessionIsFollowedAndWhatIsNotMatchedIsListed(tmp_path):
    """One sum of 16 bits only, a path in Å, frames left out, half a file, a movie that the session does not have."""
    session, made = makeSite(tmp_path, images=3)
    project = Project(tmp_path / "P1", plain=False)
    angstrom = tuple((x * PIXEL, y * PIXEL) for x, y in made[1].points)
    made[1] = replace(made[1], points=angstrom, image=made[1].image.astype(np.float16))
    made[2] = replace(made[2], frames=(FRAMES + 2, 2, FRAMES + 2))
    stranger = Made("/elsewhere/26mar19b_00001enn.frames.tif", 77)
    lengths = {1001: {"total_motion_dist": calcDistance([(x / PIXEL, y / PIXEL) for x, y in angstrom])}}
    folder = project.makeSession("S1", [*made, stranger], stage={1000: "motion"}, attributes=lengths)
    rundir = tmp_path / "appion" / session.name / "cryosparc" / "cs1"
    half = next((folder / "motioncorrected").glob(f"{made[2].prefix}*.mrc"))
    half.write_bytes(half.read_bytes()[:5000])
    os.utime(half, (1e9, 1e9))
    assert run(session, tmp_path, folder) == 0
    assert list(appiondata.ApDDAlignImagePairData.objects.values_list("source_id", flat=True)) == [session.image_ids[1]]
    assert mrcfile.read(Path(session.image_path) / f"{session.filenames[1]}-a-DW.mrc").dtype == np.float32
    assert "5000 bytes instead of" in (rundir / ".appion" / "events.jsonl").read_text()
    assert "77 26mar19b_00001enn: no image of the selection" in (rundir / "cryosparc-unmatched.txt").read_text()
    status = json.loads((rundir / ".appion" / "status.json").read_text())
    assert any("1 not matched, each with the reason" in warning for warning in status["warnings"])
    assert run(session, tmp_path, project.makeSession("S1", [*made, stranger], attributes=lengths)) == 0
    assert appiondata.ApDDAlignImagePairData.objects.count() == 3
    for row in appiondata.ApDDFrameTrajectoryData.objects.all():
        assert row.pos_x == pytest.approx([-1.25, -0.75, -0.25, 0.0, 0.25, 0.25], abs=1e-5)
        assert leginondata.AcquisitionImageData.objects.get(pk=row.image_id).filename.endswith("-a-DW")


@pytest.mark.usefixtures("database")
def test_pixelsOfAnotherSizeHaveToBeAskedFor(tmp_path, capsys):
    _, made = makeSite(tmp_path, images=1, pictures=False)
    large = makeSession(images=1, nframes=FRAMES, root=tmp_path, name="26mar20a", binning=1, norm=False,
                        dimension=(2 * SHAPE[1], 2 * SHAPE[0]), pixelsize=PIXEL / 2 * 1e-10)  # fmt: skip
    movie = f"{large.frame_path}/{large.filenames[0]}.frames.tif"
    Path(large.image_path).mkdir(parents=True)
    folder = Project(tmp_path / "P1").makeJob("J3", [replace(made[0], movie=movie)])
    run(large, tmp_path, folder)
    assert "give --bin=2: by what their pixels are larger" in capsys.readouterr().err
    assert appiondata.ApDDAlignImagePairData.objects.count() == 0
    assert run(large, tmp_path, folder, "--bin=2", name="cs2") == 0
    camera = leginondata.CameraEMData.objects.get(align_frames=True)
    assert (camera.binning_x, camera.dimension_x) == (2, SHAPE[1])
    assert appiondata.ApDDAlignStatsData.objects.get().apix == pytest.approx(PIXEL)


@pytest.mark.usefixtures("database")
def test_theCheckTellsAndStoresNothing(tmp_path, capsys):
    session, made = makeSite(tmp_path, images=3)
    project = Project(tmp_path / "P1")
    folder = project.makeJob("J3", [*made[:2], Made("/elsewhere/x.frames.tif", 77)])
    words = ["--check", f"--cryosparc={folder}", f"--session={session.name}", "--projectid=1",
             f"--preset={session.preset}", "--no-wait"]  # fmt: skip
    with dask.config.set({f"appion.{key}": value for key, value in SETTINGS.items()}):
        assert main([*words, "--what=motion"]) == 1
        told = capsys.readouterr().out
        assert main([*words, "--what=ctf"]) == 1
    assert "3 exposures in" in told
    assert "matched: 2 by path" in told
    assert "orientation as expected" in told
    assert "exposure 77 x: no image of the selection is called x" in told
    fits = capsys.readouterr().out
    assert "axis of astigmatism" in fits
    sinedon.setup(1)
    assert appiondata.ApDDAlignImagePairData.objects.count() == 0
    assert appiondata.ApCtfData.objects.count() == 0
    assert not (tmp_path / "appion").exists()


@pytest.mark.usefixtures("database")
def test_bothAreTwoRunsThatAreLookedAfterAsAnyOther(tmp_path, capsys):
    session, made = makeSite(tmp_path, images=2)
    folder = Project(tmp_path / "P1").makeJob("J3", made)
    assert run(session, tmp_path, folder, what="both") == 0
    weighted = leginondata.AcquisitionImageData.objects.filter(filename__endswith="-a-DW")
    fitted = appiondata.ApCtfData.objects.values_list("image_id", flat=True)
    assert sorted(fitted) == sorted(weighted.values_list("def_id", flat=True))
    assert appiondata.ApAceRunData.objects.get().name == "cs1-ctf"
    rundir = tmp_path / "appion" / session.name / "cryosparc" / "cs1"
    for words in (["status", rundir], ["explain", rundir, session.filenames[0]], ["failures", rundir]):
        mainAppion([*map(str, words)])
    assert "cryosparc v4.7.1" in capsys.readouterr().out
    out = tmp_path / "P9"
    assert mainAppion(["export", str(rundir), f"{rundir}-ctf", "--star", "--cryosparc", "--csv", f"--out={out}"]) == 0
    assert "2 micrographs, 2 with a CTF, 2 with motion" in capsys.readouterr().out
    shifts = starfile.read(out / "Motion" / session.name / f"{session.filenames[0]}.star")["global_shift"]
    # what RELION's own program would print of this movie: x the other way, y the same, 0 in the first frame
    assert shifts["rlnMicrographShiftX"].tolist() == pytest.approx([0, -0.5, -1, -1.25, -1.5, -1.5], abs=1e-4)
    assert shifts["rlnMicrographShiftY"].tolist() == pytest.approx([0, -0.75, -1.75, -2.25, -2.75, -3.25], abs=1e-4)
    assert mainAppion(["report", str(rundir), f"{rundir}-ctf", f"--out={out / 'r.html'}"]) == 0


def movePath(number: int) -> tuple[tuple[float, float], ...]:
    """A path that tells its exposure: frame j is at (j + n / 1000, -2 j), in CryoSPARC's pixels."""
    return tuple((frame * (1 + number / 1000), -2.0 * frame) for frame in range(FRAMES))


@pytest.mark.parametrize("kind", ["job", "session"])
@pytest.mark.usefixtures("database")
def test_killedAtAnyMomentEachOfThousandsIsStoredOnceWithItsOwnMotion(tmp_path, kind):
    """Of a folder and a session of 2000 exposures the files of some are there, and these are taken."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    session = makeSession(images=MANY, nframes=FRAMES, root=tmp_path, dimension=SHAPE[::-1], binning=1, norm=False,
                          pixelsize=PIXEL * 1e-10)  # fmt: skip
    Path(session.image_path).mkdir(parents=True)
    chosen = sorted(rng.sample(range(MANY), 24))
    made = [Made(f"{session.frame_path}/{name}.frames.tif", 1 + number, points=movePath(number),
                 image=turnFromLeginon(makePicture(number), False, 0) if number in chosen else None)
            for number, name in enumerate(session.filenames)]  # fmt: skip
    project = Project(tmp_path / "P1")
    folder = project.makeJob("J3", made) if kind == "job" else project.makeSession("S1", made)
    rundir = tmp_path / "appion" / session.name / "cryosparc" / "cs1"
    names = [session.filenames[number] for number in chosen]
    killUntilDone(rng, rundir, [
        "ingest", f"--cryosparc={folder}", "--what=motion", f"--session={session.name}", "--projectid=1",
        "--runname=cs1", f"--rundir={rundir}", f"--mrclist={','.join(names)}", "--no-wait",
    ])  # fmt: skip
    sinedon.setup(1)
    pairs = list(appiondata.ApDDAlignImagePairData.objects.values_list("source_id", "result_id"))
    wanted = [session.image_ids[number] for number in chosen]
    assert sorted(source for source, _ in pairs) == sorted(2 * wanted), f"seed {seed}"
    assert len({result for _, result in pairs}) == 2 * len(chosen)
    trajectories, sources = appiondata.ApDDFrameTrajectoryData.objects.all(), {result: one for one, result in pairs}
    assert len(trajectories) == appiondata.ApDDAlignStatsData.objects.count() == len(chosen), f"seed {seed}"
    for row in trajectories:
        number = session.image_ids.index(sources[row.image_id])
        assert row.pos_x == pytest.approx([(frame - 3) * (1 + number / 1000) for frame in range(FRAMES)], abs=1e-5)
        assert row.pos_y == pytest.approx([2.0 * (frame - 3) for frame in range(FRAMES)])
    assert len(list(Path(session.image_path).glob("*enn-a*.mrc"))) == 2 * len(chosen)
    assert list((rundir / ".appion" / "journal").glob("*.json")) == []
    for number, name in zip(chosen, names, strict=True):
        assert np.array_equal(mrcfile.read(Path(session.image_path) / f"{name}-a-DW.mrc"), makePicture(number))


def killUntilDone(rng: random.Random, rundir: Path, words: list[str]) -> None:
    """Run the command, kill it (-9) after some events more, twice, and then let it end."""
    environment = os.environ | {f"DASK_APPION__{key.upper().replace('.', '__')}": str(value)
                                for key, value in SETTINGS.items()}  # fmt: skip
    for kill in range(3):
        before, more = countLines(rundir), rng.randint(1, 25)
        daemon = subprocess.Popen(
            [sys.executable, ROOT / "bin" / "appion", *words], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 600
        while daemon.poll() is None and (kill == 2 or countLines(rundir) < before + more):
            assert time.monotonic() < deadline
            time.sleep(rng.uniform(0, 0.02))
        daemon.kill()
        if daemon.wait() == 0:
            return
    raise AssertionError("it did not end")


def countLines(rundir: Path) -> int:
    path = rundir / ".appion" / "events.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize(("kind", "raw", "frames", "expected"), [
    ("tif", 50, (50, 0, 50), (0, None, 1)), ("tif", 50, (50, 2, 48), (2, 46, 1)),
    ("eer", 1000, (40, 0, 40), (0, None, 25)), ("eer", 1000, (40, 4, 40), (100, 900, 25)),
    ("eer", 1001, (40, 4, 40), (0, None, 1)), ("tif", 50, (0, 0, 0), (0, None, 1)),
])  # fmt: skip
def test_framesAreThoseOfTheCamera(kind, raw, frames, expected):
    motion = CryosparcMotion("t.npy", 0, PIXEL, *frames)
    options = followFrames(makeParams(movie_format=kind, nframes=raw), motion).options
    assert (options.startframe, options.nframe, options.rendered_frame_size) == expected


@pytest.mark.usefixtures("database")
def test_wrongOptionsEndWithTwo(tmp_path, capsys):
    job = Project(tmp_path / "P1").makeJob("J3", [Made("/x/a.frames.tif", 1)])
    for wrong, reason in (
        (["--what=motion"], "no folder of CryoSPARC is given"),
        (["--what=motion", "--cryosparc=/no/such"], "--cryosparc=/no/such is no folder"),
        (["--what=motion", f"--cryosparc={job}", "--bin=0.5"], "--bin=0.5 is not possible"),
        (["--what=motion", f"--cryosparc={job}", "--alignlabel=a/b"], "cannot be part of a file name"),
        (["--what=ctf", f"--cryosparc={job}"], "which of them CTFs belong to has to be said"),
        (["--what=both", f"--cryosparc={job}"], "add --no-wait"),
        (["--what=both", f"--cryosparc={job}", "--no-wait"], "give --preset and --runname"),
        (["--what=motion", f"--cryosparc={job}"], "there is no session of this name"),
    ):
        assert mainAppion(["ingest", "--session=x", "--projectid=1", *wrong]) == 2
        assert reason in capsys.readouterr().err
    session = makeSession(images=1, root=tmp_path)
    words = [f"--session={session.name}", "--projectid=1", "--what=motion", f"--cryosparc={tmp_path}"]
    assert mainAppion(["ingest", *words]) == 2
    assert "is neither a job's folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        mainAppion(["ingest", "--help"])
    assert ended.value.code == 0
    assert "--as-stored" in capsys.readouterr().out
