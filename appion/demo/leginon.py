"""A simulated Leginon: rows, pictures and movies of a session appear one after another, as at a microscope.

    python -m appion.demo.leginon FOLDER COUNT SECONDS

runs beside the daemon; FOLDER holds the `sinedon.cfg` of prepared databases.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

import sinedon
from appion.demo.detector import Detector, calcPicture
from appion.demo.plan import PRESET, PROJECT, SESSION, Plan, Planned, constructPlan
from appion.demo.simulate import growMovie, simulateMovie
from appion.demo.writers import encodeMovie
from sinedon.models import leginondata, projectdata

logger = logging.getLogger(__name__)

MAGNIFICATION = 105000
FRAME_TIME = 50.0  # ms
CAMERA_NAME = "GatanK3"


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
        self.detector: Detector = plan.constructDetector()
        self.pixelsize = plan.exposures[0].exposure.pixelsize
        plan.image_path.mkdir(parents=True)
        plan.frame_path.mkdir(parents=True)
        self.session = sinedon.insertRow(
            leginondata.SessionData,
            name=SESSION,
            image_path=str(plan.image_path),
            frame_path=str(plan.frame_path),
            comment="simulated",
            hidden=False,
        )
        sinedon.insertRow(projectdata.projectexperiments, project_id=PROJECT, session=self.session)
        self.tem = sinedon.insertRow(leginondata.InstrumentData, name="SimTEM", hostname="demo", cs=2.7e-3)
        self.ccd = sinedon.insertRow(leginondata.InstrumentData, name=CAMERA_NAME, hostname="demo")
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

    def takeExposure(self, planned: Planned) -> bytes:
        """Expose: write Leginon's picture, insert the rows, return the bytes of the movie, which is not yet there."""
        frames, _ = simulateMovie(planned.exposure, self.detector, threads=1)
        data = encodeMovie(frames, "tif", planned.exposure.pixelsize)
        picture = calcPicture(frames, self.detector)
        writeImage(self.plan.image_path / f"{planned.filename}.mrc", picture, self.pixelsize)
        camera = self._insertCamera(planned, True)
        self._insertImage(planned.filename, PRESET, camera, planned)
        return data

    def writeMovie(self, planned: Planned, data: bytes, seconds: float) -> None:
        """Let the movie of an exposure arrive within `seconds`; half of the broken one never does."""
        path = self.plan.frame_path / f"{planned.filename}.frames.tif"
        growMovie(path, data, seconds, stop_at=0.5 if planned.kind == "broken" else 1.0)

    def _frameFields(self, planned: Planned, save_frames: bool) -> dict[str, Any]:
        rows, cols = self.plan.shape
        return {
            "dimension_x": cols,
            "dimension_y": rows,
            "binning_x": 1,
            "binning_y": 1,
            "offset_x": 0,
            "offset_y": 0,
            "exposure_time": planned.exposure.nframes * FRAME_TIME,
            "frame_time": FRAME_TIME,
            "save_frames": save_frames,
            "align_frames": save_frames and planned.kind == "camera-aligned",
            "use_frames": tuple(range(planned.exposure.nframes)) if save_frames else None,
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
            nframes=planned.exposure.nframes if save_frames else 1,
            frame_flip=self.detector.frame_flip,
            frame_rotate=self.detector.frame_rotate,
            tiff_frames=save_frames,
            eer_frames=False,
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
        name = f"{SESSION}_norm_0"
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


def runSession(plan: Plan) -> None:
    """Take every exposure of `plan` in its time; the movie follows its row, the late one comes after all others."""
    microscope = Microscope(plan)
    microscope.takeHoleImage()
    late: list[tuple[Planned, bytes]] = []
    start = time.monotonic()
    for i, planned in enumerate(plan.exposures):
        time.sleep(max(0.0, start + i * plan.seconds_between - time.monotonic()))
        data = microscope.takeExposure(planned)
        logger.info("exposure %d (%s)", planned.number, planned.kind)
        if planned.kind == "late":
            late.append((planned, data))
        else:
            microscope.writeMovie(planned, data, seconds=min(2.0, plan.seconds_between / 2))
    for planned, data in late:
        microscope.writeMovie(planned, data, seconds=1.0)
        logger.info("movie of exposure %d, late", planned.number)


def main(argv: list[str] | None = None) -> int:
    """FOLDER COUNT SECONDS: see above."""
    folder, count, seconds = (sys.argv[1:] if argv is None else argv)[:3]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s microscope: %(message)s", datefmt="%H:%M:%S")
    sinedon.setup(PROJECT)
    runSession(constructPlan(Path(folder), int(count), float(seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
