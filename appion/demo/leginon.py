"""A simulated Leginon: rows, pictures and movies of a session appear one after another, as at a microscope.

It is a process of its own beside the daemons (`main`), started by `appion demo`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

import sinedon
from appion.demo.detector import Detector, calcPicture, correctPicture
from appion.demo.plan import PRESET, Plan, Planned
from appion.demo.recipe import readRecipe
from appion.demo.simulate import Exposure, simulateMovie
from appion.demo.stock import Stock, constructStock
from appion.demo.writers import encodeMovie, pourMovie
from sinedon.models import leginondata, projectdata

logger = logging.getLogger(__name__)

MAGNIFICATION = 105000


@dataclass(frozen=True)
class Movie:
    """A movie that has been exposed but not yet written: its bytes, and the pieces in which they come."""

    size: int
    iterate: Callable[[], Iterator[bytes]]


def writeImage(path: Path, image: np.ndarray, pixelsize: float) -> None:
    """Write an image as Leginon does: MRC, float32."""
    with mrcfile.new(path) as mrc:
        mrc.set_data(image.astype(np.float32))
        mrc.voxel_size = pixelsize


class Microscope:
    """The rows that all exposures of a session share, and how one more exposure is taken.

    Attributes:
        plan: what is to be done.
        detector: the camera.
    """

    def __init__(self, plan: Plan) -> None:
        """Start the session: folders, project, instruments, calibration, presets, gain reference, bad pixels."""
        self.plan = plan
        self.stocks: dict[int, Stock] = {}
        self.detector: Detector = plan.constructDetector()
        self.pixelsize = plan.exposures[0].exposure.pixelsize
        plan.image_path.mkdir(parents=True)
        plan.frame_path.mkdir(parents=True)
        self.session = insertSession(plan)
        self.tem = insertInstrument(plan, "SimTEM", cs=2.7e-3)
        self.ccd = insertInstrument(plan, plan.movie.camera)
        sinedon.insertRow(
            leginondata.PixelSizeCalibrationData,
            session=self.session,
            tem=self.tem,
            ccdcamera=self.ccd,
            magnification=MAGNIFICATION,
            pixelsize=self.pixelsize * 1e-10,
        )
        first = plan.exposures[0]
        self.presets = {"hln": self._insertPreset("hln", first, False), PRESET: self._insertPreset(PRESET, first, True)}
        self.norm = self._insertNorm(first)
        self.corrector_plan = sinedon.insertRow(
            leginondata.CorrectorPlanData,
            session=self.session,
            camera=self._insertCamera(first, False),
            bad_rows=self.detector.bad_rows,
            bad_cols=self.detector.bad_cols,
            bad_pixels=self.detector.dead,
        )

    def takeHoleImage(self) -> None:
        """Take the picture of the hole in which the exposures lie; it has no frames."""
        planned = self.plan.exposures[0]
        name = planned.filename.removesuffix(f"_{planned.number:05d}{PRESET}")
        rng = np.random.default_rng(self.plan.seed)
        writeImage(self.plan.image_path / f"{name}.mrc", rng.normal(100, 10, self.plan.shape), 10 * self.pixelsize)
        self._insertImage(name, "hln", self._insertCamera(planned, False), planned)

    def takeExposure(self, planned: Planned) -> Movie:
        """Expose: write Leginon's picture, insert the rows, return the movie, which is not yet there."""
        movie, picture = self._expose(planned.exposure)
        writeImage(self.plan.image_path / f"{planned.filename}.mrc", picture, self.pixelsize)
        camera = self._insertCamera(planned, True)
        self._insertImage(planned.filename, PRESET, camera, planned)
        return movie

    def _expose(self, exposure: Exposure) -> tuple[Movie, np.ndarray]:
        """Return the movie of an exposure, and Leginon's picture of it."""
        if self.plan.movie.specimens:
            stock = self.prepareStock(exposure)
            movie = Movie(stock.calcSize(exposure), lambda: stock.iterateMovie(exposure))
            return movie, correctPicture(stock.calcSum(exposure), self.detector)
        frames, _ = simulateMovie(exposure, self.detector, threads=1)
        data = encodeMovie(frames, self.plan.movie.suffix, exposure.pixelsize)
        pieces = [data[start : start + 2**20] for start in range(0, len(data), 2**20)]
        return Movie(len(data), lambda: iter(pieces)), calcPicture(frames, self.detector)

    def prepareStock(self, exposure: Exposure) -> Stock:
        """Return the frames of the exposure's specimen, simulated when it is first asked for."""
        if exposure.seed not in self.stocks:
            number = len(self.stocks) + 1

            def report(done: int, count: int) -> None:
                logger.info("simulating specimen %d of %d: position %d of %d", number, self.plan.movie.specimens, done,
                            count)  # fmt: skip

            path = self.plan.frames / f"specimen{number}.stock"
            self.stocks[exposure.seed] = constructStock(path, exposure, self.detector, self.plan.movie, report)
        return self.stocks[exposure.seed]

    def writeMovie(self, planned: Planned, movie: Movie, seconds: float) -> None:
        """Let the movie of an exposure arrive within `seconds`; half of the broken one never does."""
        path = self.plan.frame_path / f"{planned.filename}.frames.{self.plan.movie.suffix}"
        pourMovie(path, movie.iterate(), movie.size, seconds, stop_at=0.5 if planned.kind == "broken" else 1.0)

    def _frameFields(self, planned: Planned, save_frames: bool) -> dict[str, Any]:
        rows, cols = self.plan.shape
        frame_time = self.plan.movie.frame_time
        nframes = planned.exposure.nframes * self.plan.movie.group
        return {
            "dimension_x": cols,
            "dimension_y": rows,
            "binning_x": 1,
            "binning_y": 1,
            "offset_x": 0,
            "offset_y": 0,
            "exposure_time": nframes * frame_time,
            "frame_time": frame_time,
            "save_frames": save_frames,
            "align_frames": save_frames and planned.kind == "camera-aligned",
            "use_frames": tuple(range(nframes)) if save_frames else None,
        }

    def _insertPreset(self, name: str, planned: Planned, save_frames: bool) -> Any:
        fields = self._frameFields(planned, save_frames) | {"align_frames": False}
        return sinedon.insertRow(
            leginondata.PresetData,
            session=self.session,
            tem=self.tem,
            ccdcamera=self.ccd,
            name=name,
            magnification=MAGNIFICATION if save_frames else MAGNIFICATION // 10,
            defocus=-1.5e-6,
            dose=planned.exposure.dose * planned.exposure.nframes * 1e20 if save_frames else None,
            **fields,
        )

    def _insertCamera(self, planned: Planned, save_frames: bool) -> Any:
        """A row of its own for each exposure, as Leginon does: the time differs."""
        return sinedon.insertRow(
            leginondata.CameraEMData,
            session=self.session,
            ccdcamera=self.ccd,
            system_time=time.time(),
            exposure_type="normal",
            inserted=True,
            nframes=planned.exposure.nframes * self.plan.movie.group if save_frames else 1,
            frame_flip=self.detector.frame_flip,
            frame_rotate=self.detector.frame_rotate,
            tiff_frames=save_frames and self.plan.movie.suffix == "tif",
            eer_frames=save_frames and self.plan.movie.suffix == "eer",
            **self._frameFields(planned, save_frames),
        )

    def _insertScope(self, planned: Planned) -> Any:
        optics = planned.exposure.optics
        mean = (optics.defocus1 + optics.defocus2) / 2
        return sinedon.insertRow(
            leginondata.ScopeEMData,
            session=self.session,
            tem=self.tem,
            system_time=time.time(),
            magnification=MAGNIFICATION,
            high_tension=int(optics.kv * 1000),
            defocus=-round(mean / 5000) * 5e-7,  # a microscope is some hundred nm off
            stage_position_a=0.0,
        )

    def _insertNorm(self, planned: Planned) -> Any:
        name = f"{self.plan.session}_norm_0"
        writeImage(self.plan.image_path / f"{name}.mrc", self.detector.gain, self.pixelsize)
        return sinedon.insertRow(
            leginondata.NormImageData,
            session=self.session,
            camera=self._insertCamera(planned, False),
            scope=self._insertScope(planned),
            filename=name,
            mrc_image=f"{name}.mrc",
            channel=0,
        )

    def _insertImage(self, name: str, preset: str, camera: Any, planned: Planned) -> None:
        rows, cols = self.plan.shape
        sinedon.insertRow(
            leginondata.AcquisitionImageData,
            session=self.session,
            scope=self._insertScope(planned),
            camera=camera,
            preset=self.presets[preset],
            norm=self.norm,
            corrector_plan=self.corrector_plan,
            filename=name,
            mrc_image=f"{name}.mrc",
            pixels=rows * cols,
            pixeltype="float32",
            label="Exposure" if preset == PRESET else "Hole",
            version=0,
        )


def insertSession(plan: Plan) -> Any:
    """Insert the row of the session and that which gives it to its project, or find them, and return the session's."""
    session = insertSessionAlone(plan)
    sinedon.insertRow(projectdata.projectexperiments, project_id=plan.projectid, session=session)
    return session


def insertSessionAlone(plan: Plan) -> Any:
    """Insert the row of the session, or find it, and return it."""
    return sinedon.insertRow(
        leginondata.SessionData,
        name=plan.session,
        image_path=str(plan.image_path),
        frame_path=str(plan.frame_path),
        comment=plan.comment,
        hidden=False,
    )


def insertInstrument(plan: Plan, name: str, **fields: Any) -> Any:
    """Insert an instrument that no other session has: on a host that does not exist, hidden where people choose."""
    for field, value in (("description", plan.comment), ("hidden", True)):
        if sinedon.hasColumn(leginondata.InstrumentData, field):
            fields[field] = value
    return sinedon.insertRow(leginondata.InstrumentData, name=name, hostname=plan.hostname, **fields)


def runSession(plan: Plan) -> None:
    """Take every exposure of `plan` in its time; the movie follows its row, the late one comes after all others."""
    microscope = Microscope(plan)
    for planned in plan.exposures[: plan.movie.specimens]:
        microscope.prepareStock(planned.exposure)
    microscope.takeHoleImage()
    late: list[tuple[Planned, Movie]] = []
    start = time.monotonic()
    for i, planned in enumerate(plan.exposures):
        time.sleep(max(0.0, start + i * plan.seconds_between - time.monotonic()))
        behind = time.monotonic() - start - i * plan.seconds_between
        movie = microscope.takeExposure(planned)
        note = f", {behind:.0f} s later than planned" if behind > 1 else ""
        logger.info("exposure %d (%s)%s", planned.number, planned.kind, note)
        if planned.kind == "late":
            late.append((planned, movie))
        else:
            microscope.writeMovie(planned, movie, seconds=min(2.0, plan.seconds_between / 2))
    for planned, movie in late:
        microscope.writeMovie(planned, movie, seconds=1.0)
        logger.info("movie of exposure %d, late", planned.number)


def main(argv: list[str] | None = None) -> int:
    """Take the session whose plan lies in the folder that is named; the environment says where the databases are."""
    (folder,) = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.INFO, format="%(asctime)s microscope: %(message)s", datefmt="%H:%M:%S")
    plan = readRecipe(Path(folder)).constructPlan(Path(folder))
    sinedon.setup()
    runSession(plan)
    for stock in plan.frames.glob("specimen*.stock"):
        stock.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
