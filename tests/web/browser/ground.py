"""What the browser looks at: a session by hand with squares, pictures and a bad end, and a microscope with daemons."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

import sinedon
from appion.base.records.keeping import Keeping, KeptRun, NotStarted, keepingPath
from appion.base.records.runfolder import driftPlotPath, seriesPath, thumbnailPath
from appion.demo.commands import constructCtfCommand, constructEnvironment, constructMotionCorCommand, findCommand
from appion.demo.leginon import Microscope
from appion.demo.main import prepareFolder
from appion.demo.plan import PROJECT, Plan, constructPlan
from appion.demo.processes import Process, startProcess, stopProcesses
from appion.demo.report import readEstimated
from sinedon import config
from sinedon.connection import registerDatabases
from sinedon.create import createDatabases
from sinedon.models import leginondata
from tests.web.rows import INTERVAL, Session
from tests.web.serving import TIMEOUT, runServer
from tests.webpages.filled import waitFor

#: The session by hand, and why one of its exposures failed.
NAME, REASON = "26nov22a", "the movie ends after 23 of 40 frames"
COUNT = 120
#: A small one whose words do harm if they are taken for more than text.
EVIL, EVIL_REASON = "26nov22b<script>alert(1)", "<img src=x onerror=alert(2)><script>alert(3)</script>"
#: Of the demo's exposures: one is late, one broken, one camera-aligned.
PLANNED, SHAPE, FRAMES = 6, (512, 720), 12
#: Squares, and holes along each side of one.
SQUARES, SIDE = 3, 3
PIXELS = 512


class Session26(Session):
    """A session whose second square is bad, and whose drift grows at the end."""

    def _insertSquares(self) -> list[int]:
        """Squares with holes on a lattice, with pictures of the squares; returns the ids of targets in the holes."""
        camera, scope = self._findRow(leginondata.CameraEMData), self._findRow(leginondata.ScopeEMData)
        plain = sinedon.copyRow(leginondata.CameraEMData, camera, save_frames=False, dimension_x=PIXELS,
                                dimension_y=PIXELS)  # fmt: skip
        presets = {name: sinedon.insertRow(leginondata.PresetData, session=self.made.session_id, name=name)
                   for name in ("sq", "hl")}  # fmt: skip
        os.makedirs(self.made.image_path, exist_ok=True)
        targets = []
        for number in range(1, SQUARES + 1):
            name = f"{self.made.name}_{number:05d}sq"
            square = self._insertPicture(name, "Square", presets["sq"], plain, scope, None)
            spots = [(96 * (column - 1) + 20 * (number - 2), 96 * (row - 1) + 12 * (number - 2))
                     for row in range(SIDE) for column in range(SIDE)]  # fmt: skip
            drawSquare(Path(self.made.image_path) / f"{name}.mrc", spots, number)
            for place, (x, y) in enumerate(spots, 1):
                target = self._insertTarget(square, x, y, place)
                hole = self._insertPicture(f"{name}_{place:05d}hl", "Hole", presets["hl"], plain, scope, target)
                targets.append(self._insertTarget(hole, 0.0, 0.0, 1).def_id)
        return targets

    def _insertTarget(self, image: Any, x: float, y: float, number: int) -> Any:
        return sinedon.insertRow(leginondata.AcquisitionImageTargetData, session=self.made.session_id,
                                 image=image.def_id, delta_column=float(x), delta_row=float(y),
                                 number=number)  # fmt: skip

    def _insertPicture(self, name: str, label: str, preset: Any, camera: Any, scope: Any, target: Any) -> Any:
        return sinedon.insertRow(leginondata.AcquisitionImageData, session=self.made.session_id, camera=camera,
                                 scope=scope, preset=preset, target=target, filename=name, label=label,
                                 mrc_image=f"{name}.mrc")  # fmt: skip

    def fill(self) -> None:
        """Store results of all but the last three exposures, one of which failed."""
        done = self.exposures[:-3]
        self.correct(done, lines=False)
        self.estimate(done[:-1], lines=False)
        rng = random.Random(7)
        start = time.time() - INTERVAL * len(self.exposures)
        motion, ctf = [], []
        for place, image in enumerate(done):
            bad = rng.random() < (0.45 if place % len(self.parents) // SIDE**2 == 1 else 0.05)
            drift = rng.lognormvariate(2.5, 0.25) * (3.2 if bad else 1) * (2.1 if place > len(done) - 20 else 1)
            taken = {"exposed": start + INTERVAL * place, "preset": self.made.preset}
            motion.append({**taken, "image": image, "name": self.nameExposure(image), "drift": drift, "frames": 40,
                           "drift_early": 0.6 * drift, "drift_late": 0.4 * drift, "drift_jump": 0.15 * drift,
                           "dose": 50.1, "counts": 0.81, "seconds_to_result": rng.uniform(28, 60)})  # fmt: skip
            asked = 8000 + 3000 * (place % 5)
            defocus, size = asked + rng.gauss(600, 250), abs(rng.gauss(260, 90))
            ctf.append({**taken, "image": image + 1, "name": self.nameExposure(image), "defocus": defocus,
                        "defocus1": defocus - size / 2, "defocus2": defocus + size / 2, "astigmatism": size,
                        "defocus_error": defocus - asked, "astigmatism_axis": rng.gauss(30, 15), "spectrum": "x.jpg",
                        "ctf_resolution": rng.lognormvariate(1.4, 0.1) * (1.6 if bad else 1), "score": 0.12,
                        "confidence": max(0.05, rng.gauss(0.9, 0.03) - 0.35 * bad), "ice_ring": rng.gauss(1.7, 0.3),
                        "seconds_to_result": rng.uniform(60, 90)})  # fmt: skip
        for kind, lines in (("motion", motion), ("ctf", ctf[:-1])):
            with open(seriesPath(self.folders[kind]), "w") as file:
                file.writelines(json.dumps({"stored": time.time(), **line}) + "\n" for line in lines)
        self.fail("motion", self.exposures[-2], REASON)
        self.drawPictures(done)
        self.tell()

    def drawPictures(self, images: list[int]) -> None:
        """Small pictures of exposures, their drift and their spectra."""
        rng = np.random.default_rng(1)
        spectrum, drift = Image.fromarray(calcSpectrum(), "L"), Image.fromarray(np.full((120, 160), 235, np.uint8), "L")
        (self.folders["ctf"] / "opimages").mkdir()
        thumbnailPath(self.folders["motion"], "x").parent.mkdir()
        for image in images:
            name = self.nameExposure(image)
            Image.fromarray(calcMicrograph(rng), "L").save(thumbnailPath(self.folders["motion"], name))
            drift.save(driftPlotPath(self.folders["motion"], name))
            spectrum.save(self.folders["ctf"] / "opimages" / f"{image}.jpg")

    def tell(self) -> None:
        """Have the daemons of both runs say how they are, as they do again and again: motion correction in trouble."""
        done = len(self.exposures) - 3
        self.saveStatus("motion", counts={"done": done, "set aside": 1}, total=len(self.exposures))
        self.saveStatus("ctf", counts={"done": done - 1}, total=done)


def drawSquare(path: Path, spots: list[tuple[int, int]], seed: int) -> None:
    """Write the picture of a grid square: dark bars, grey carbon, bright holes."""
    y, x = np.mgrid[:PIXELS, :PIXELS] - PIXELS / 2
    image = np.where(np.maximum(abs(x), abs(y)) < 215, 60.0, 12.0)
    for column in range(-3, 4):
        for row in range(-3, 4):
            cx, cy = spots[0][0] + 96 + 96 * column, spots[0][1] + 96 + 96 * row
            if max(abs(cx), abs(cy)) < 195:
                image[np.hypot(x - cx, y - cy) < 26] = 110
    image += np.random.default_rng(seed).normal(0, 8, image.shape)
    with mrcfile.new(path) as mrc:
        mrc.set_data(gaussian_filter(image, 1.2).astype(np.float32))


def calcMicrograph(rng: np.random.Generator) -> np.ndarray:
    """Return a picture with dark specks, (182, 256) uint8."""
    image = gaussian_filter(rng.normal(0, 1, (182, 256)), 1.2) * 60
    specks = np.zeros_like(image)
    specks[rng.integers(0, 182, 60), rng.integers(0, 256, 60)] = -4600
    return np.clip(135 + image + gaussian_filter(specks, 3.0), 0, 255).astype(np.uint8)


def calcSpectrum() -> np.ndarray:
    """Return rings that get fainter, (256, 256) uint8."""
    y, x = np.mgrid[-128:128, -128:128]
    squared = (x**2 * 1.05 + y**2 * 0.95) / 128**2
    return (128 + 110 * np.cos(40 * squared) * np.exp(-2.2 * squared)).astype(np.uint8)


@dataclass
class Ground:
    """What there is to look at.

    Attributes:
        address: of the server, with a slash at its end. made: the session by hand. evil: that with the names.
        plan, microscope: of the demo's session. processes: its daemons, once they have been started.
        taken: ids of its exposures by their number in the plan.
    """

    address: str
    made: Session26
    evil: Session
    plan: Plan
    microscope: Microscope
    processes: list[Process]
    taken: dict[int, int] = field(default_factory=dict)

    def startDaemons(self) -> None:
        """Start motion correction and CTF estimation, once."""
        if self.processes:
            return
        environment = constructEnvironment(self.plan)
        for name, command in (("motioncor2", constructMotionCorCommand(self.plan)),
                              ("ctffind4", constructCtfCommand(self.plan))):  # fmt: skip
            log = self.plan.folder / f"{name}.log"
            self.processes.append(startProcess(findCommand(command), log, environment))

    def expose(self, number: int) -> int:
        """Take an exposure of the plan with its movie, once; returns its id."""
        if number not in self.taken:
            planned = self.plan.exposures[number - 1]
            self.microscope.writeMovie(planned, self.microscope.takeExposure(planned), 0.0)
            rows = leginondata.AcquisitionImageData.objects
            self.taken[number] = rows.get(filename=planned.filename).def_id
        return self.taken[number]

    def awaitCorrected(self, image: int) -> float:
        """Return when the result of motion correction was stored, as the series has it, once it is there."""

        def look() -> float | None:
            path = seriesPath(self.plan.rundir)
            lines = map(json.loads, path.read_text().splitlines() if path.exists() else ())
            return next((line["stored"] for line in lines if line["image"] == image), None)

        return float(waitFor(look, self.processes, "a corrected exposure", TIMEOUT))

    def awaitEstimated(self, image: int) -> None:
        """Wait until an exposure has its CTF."""
        waitFor(lambda: image in readEstimated(self.plan), self.processes, "the CTF of an exposure", TIMEOUT)


def tellOfKeeper(folder: Path) -> None:
    """Have a keeper say what it has not started, and why; it keeps its signs of life for a day."""
    now = time.time()
    refused = KeptRun("/data/appion/26nov23c/ddstack/ddstack1", "26nov23c", "krios", "motioncor2.py", "ddstack1",
                      "refused", "session and profile disagree: there is no preset enn", now - 900)  # fmt: skip
    backing = KeptRun("/data/appion/26nov23b/ctf/ctf1", "26nov23b", "krios", "ctffind4.py", "ctf1", "backing off",
                      "it ended with exit code 1", now - 240, now + 360, starts=3)  # fmt: skip
    waiting = KeptRun("/data/appion/26nov23d/ctf/ctf1", "26nov23d", "glacios", "ctffind4.py", "ctf1", "waiting",
                      "no aligned images so far", now - 60)  # fmt: skip
    skipped = NotStarted(EVIL, "krios", EVIL_REASON, now - 3600)
    folder.mkdir()
    keeping = Keeping("em1.example.org", 4711, now - 86400, now + 86400, (waiting, backing, refused), (skipped,))
    keepingPath(folder).write_text(json.dumps(asdict(keeping)))


@contextmanager
def prepareGround(folder: Path) -> Iterator[Ground]:
    """Databases with both sessions, and `appion web` on them; daemons that were started end with it."""
    import pytest

    plan = constructPlan(folder / "demo", PLANNED, 0.0, shape=SHAPE, nframes=FRAMES)
    prepareFolder(plan.folder)
    processes: list[Process] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "SYSTEM_FOLDER", folder / "etc-myami")
        patch.setattr(config, "PACKAGE_FOLDER", folder / "package")
        patch.setenv("SINEDON_CFG_PATH", str(plan.folder))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("DASK_APPION__KEEP__FOLDER", str(folder / "keep"))
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright has an event loop here, that no query waits in
        try:
            createDatabases(PROJECT)
            sinedon.setup(PROJECT)
            microscope = Microscope(plan)
            microscope.takeHoleImage()
            made = Session26(folder / "made", COUNT, NAME, first=10_000)
            made.fill()
            evil = Session(folder / "evil", 4, EVIL, first=20_000)
            evil.correct(evil.exposures[:2])
            evil.fail("motion", evil.exposures[3], EVIL_REASON)
            evil.saveStatus("motion", counts={"done": 2, "waiting": 1, "set aside": 1}, total=4)
            tellOfKeeper(folder / "keep")
            with runServer() as server:
                yield Ground(server.address, made, evil, plan, microscope, processes)
        finally:
            stopProcesses(processes, 60)
            registerDatabases({})
