"""A small session whose movies motioncor-cpu really corrects, with fits of CTFs as rows."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

import sinedon
from appion.base.store.path import savePathData
from appion.base.store.series import saveSeries
from appion.demo.detector import convertToRaw
from appion.demo.writers import writeMovie
from sinedon.models import appiondata, leginondata
from tests.motioncorrection.movies import makeLocalFrames
from tests.services.sessions import MadeSession, makeSession

ROOT = Path(__file__).parents[2]
FRAMES, SHAPE, PIXEL = 8, (320, 400), 1.25
#: Smaller and larger defocus (Å), axis of the smaller one (degrees), score, resolution (Å) of each exposure's fit.
FITS = ((12000.0, 12500.0, 30.0, 0.2, 4.0), (15000.0, 16000.0, -70.0, 0.15, 6.0), (9000.0, 9100.0, 0.0, 0.1, 100000.0))


@dataclass(frozen=True)
class Site:
    """A session with `motion` and `ctf`, its run folders, the folder that everything lies in, and a gain reference."""

    made: MadeSession
    folder: Path
    motion: Path
    ctf: Path
    gain: Path


def makeSite(
    folder: Path, movie_format: str, turned: tuple[bool, int] = (False, 0), images: int = 2, *more: str, fits: int = 2
) -> Site:
    """Make a session of exposures that move and bend, and run motion correction on it; the first `fits` have a CTF."""
    rows, columns = SHAPE
    made = makeSession(
        images=images, nframes=FRAMES, root=folder, dimension=(columns, rows), binning=1, pixelsize=PIXEL * 1e-10,
        movie_format=movie_format, frame_flip=turned[0], frame_rotate=turned[1],
    )  # fmt: skip
    rng = np.random.default_rng(5)
    gain = (1 + 0.05 * rng.normal(size=SHAPE)).astype(np.float32)
    for seed, name in enumerate(made.filenames):
        frames, _, _ = makeLocalFrames(rows, FRAMES, 0.5, 5.0, seed + 3, cols=columns)
        movie = folder / "frames" / made.name / "rawdata" / f"{name}.frames.{movie_format}"
        movie.parent.mkdir(parents=True, exist_ok=True)
        writeMovie(movie, np.array([convertToRaw(frame, *turned) for frame in frames]))
        os.utime(movie, (1e9, 1e9))
    norm = leginondata.NormImageData.objects.get(pk=made.norm_id)
    path = Path(leginondata.SessionData.objects.get(pk=norm.session_id).image_path) / norm.mrc_image
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path) as mrc:
        mrc.set_data(gain)
    motion = folder / "appion" / made.name / "ddstack" / "dd1"
    runMotion(made, motion, *more)
    sinedon.setup(1)
    return Site(made, folder, motion, saveFits(made, folder / "appion" / made.name / "ctf" / "ctf1", fits), path)


def runMotion(made: MadeSession, rundir: Path, *more: str) -> None:
    """Run motion correction with this package's program, weighting by dose."""
    words = [
        "--align", "--doseweight", "--alignlabel=a", "--gpuids=0", f"--runname={rundir.name}", f"--rundir={rundir}",
        f"--preset={made.preset}", "--commit", "--projectid=1", f"--session={made.name}", "--no-rejects", "--no-wait",
        "--totaldose=40", *more,
    ]  # fmt: skip
    settings = {
        "APPION__WORKERS": 1, "APPION__POLL": 0.5, "APPION__NOWAIT_PATIENCE": 2, "APPION__FREE_SPACE": 0,
        "APPION__MOTIONCORRECTION__SETTLE": 0, "APPION__MOTIONCORRECTION__EXECUTABLE": "motioncor-cpu",
        "APPION__MOTIONCORRECTION__CHECK_ORIENTATION": 0,
    }  # fmt: skip
    environment = os.environ | {f"DASK_{name}": str(value) for name, value in settings.items()}
    done = subprocess.run([sys.executable, ROOT / "bin" / "motioncor2.py", *words], env=environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=900, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def saveFits(made: MadeSession, rundir: Path, fits: int) -> Path:
    """Write rows of a CTF run of the first plain sums, as classic Appion does: the run folder has nothing of it."""
    rundir.mkdir(parents=True)
    path_id = savePathData(rundir)
    params = sinedon.insertRow(appiondata.ApCtfFind4ParamsData, ampcontrast=0.1, fieldsize=512, cs=2.7)
    run = sinedon.insertRow(appiondata.ApAceRunData, name=rundir.name, session_id=made.session_id, path_id=path_id,
                            ctffind4_params=params, hidden=False)  # fmt: skip
    sums = leginondata.AcquisitionImageData.objects.filter(filename__endswith="-a").order_by("filename")
    for image, (defocus1, defocus2, axis, score, resolution) in zip(sums, FITS[:fits], strict=False):
        sinedon.insertRow(
            appiondata.ApCtfData, acerun=run, image=image, cs=2.7, amplitude_contrast=0.1, defocus1=defocus1 * 1e-10,
            defocus2=defocus2 * 1e-10, angle_astigmatism=axis, cross_correlation=score, confidence=0.9,
            ctffind4_resolution=resolution, extra_phase_shift=0.0, resolution_80_percent=5.0,
            resolution_50_percent=4.5, graph1="x-pow.jpg",
        )  # fmt: skip
    return rundir


def makeRows(folder: Path, number: int) -> Site:
    """Make a session with rows and series as both daemons leave them, and empty files for micrographs."""
    made = makeSession(images=number, root=folder, nframes=FRAMES, movie_format="mrc")
    motion, ctf = (folder / "appion" / made.name / kind / "run1" for kind in ("ddstack", "ctf"))
    for rundir in (motion, ctf, Path(made.image_path)):
        (rundir / ".appion").mkdir(parents=True)
    run = sinedon.insertRow(appiondata.ApDDStackRunData, runname="run1", session_id=made.session_id,
                            path_id=savePathData(motion))  # fmt: skip
    fits = sinedon.insertRow(appiondata.ApAceRunData, name="run1", session_id=made.session_id,
                             path_id=savePathData(ctf))  # fmt: skip
    preset = sinedon.copyRow(leginondata.PresetData, made.preset_id, name="enn-a")
    lines: dict[Path, list[dict[str, object]]] = {motion: [], ctf: []}
    for source in leginondata.AcquisitionImageData.objects.filter(def_id__in=made.image_ids):
        name = f"{source.filename}-a"
        image_id = sinedon.copyRow(leginondata.AcquisitionImageData, source.def_id, filename=name, preset_id=preset)
        Path(made.image_path, f"{name}.mrc").touch()
        sinedon.insertRow(appiondata.ApDDAlignImagePairData, source_id=source.def_id, result_id=image_id,
                          ddstackrun_id=run.def_id)  # fmt: skip
        sinedon.insertRow(appiondata.ApCtfData, acerun=fits, image_id=image_id, cs=2.7, amplitude_contrast=0.1,
                          defocus1=1.5e-6, defocus2=1.6e-6, angle_astigmatism=10.0)  # fmt: skip
        lines[motion].append({"image": source.def_id, "name": source.filename, "exposed": 1e9 + source.def_id,
                              "drift": 5.0, "stored": 1e9})  # fmt: skip
        lines[ctf].append({"image": image_id, "name": name, "defocus1": 15000.0, "defocus2": 16000.0,
                           "astigmatism_axis": 10.0, "stored": 1e9})  # fmt: skip
    for rundir, rows in lines.items():
        saveSeries(rundir, rows)
    return Site(made, folder, motion, ctf, Path())
