"""Rows and run folders of sessions for the pages: a few, or ten thousand exposures, written in bulk."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sinedon
from appion.base.records.runfolder import attemptsPath, eventsPath, seriesPath, statusPath
from sinedon.models import appiondata, leginondata
from tests.services.sessions import MadeSession, makeSession

#: When the exposures of a session were taken: the last one a moment ago.
INTERVAL = 10

PHASES = ("queued", "waiting", "running", "storing", "backing off", "set aside", "done", "rejected")

STATUS: dict[str, Any] = {
    "program": "MotionCor2", "version": "1", "session": "", "commit": True, "host": os.uname().nodename, "pid": 1,
    "counts": dict.fromkeys(PHASES, 0),
    "rate_per_hour": 300.0, "arriving_per_hour": 300.0, "seconds_per_exposure": 4.0,
    "behind": {"count": 0, "minutes": 0.0}, "time_left": None, "falling_behind": False, "waiting_for": [],
    "failures": [], "warnings": [], "warned": [], "state": "running", "total": 0, "ended": "",
    "workers": {"cluster": "local", "planned": 2, "in_sight": 2, "busy": 1},
}  # fmt: skip


def insertMany(model: Any, rows: list[dict[str, Any]], alias: str = "") -> None:
    """Insert rows as they are, with their ids."""
    objects = model.objects.using(alias) if alias else model.objects
    objects.bulk_create([model(**row) for row in rows], batch_size=500)


class Session:
    """A session with a motion run, a CTF run, and what both have stored.

    Attributes:
        made: the session as Leginon has it. exposures: ids; micrographs: those of the aligned images.
        motion, ctf: rows of the runs. folders: of both.
    """

    def __init__(self, root: Path, exposures: int, name: str = "26nov22a", preset: str = "enn", first: int = 1000,
                 squares: bool = True) -> None:  # fmt: skip
        self.root, self.first = root, first
        self.made: MadeSession = makeSession(images=1, root=root, name=name, preset=preset)
        self.folders = {kind: root / "appion" / f"run{first}" / kind for kind in ("motion", "ctf")}
        for folder in self.folders.values():
            (folder / ".appion").mkdir(parents=True)
        self.exposures: list[int] = []
        self.parents = self._insertSquares() if squares else []
        self.motion, self.ctf = self._insertRuns()
        leginondata.AcquisitionImageData.objects.filter(def_id=self.made.image_ids[0]).delete()
        self.take(exposures)

    def _insertSquares(self) -> list[int]:
        """A grid, two squares on it and two holes on each; returns the ids of the holes' images."""
        camera, scope = self._findRow(leginondata.CameraEMData), self._findRow(leginondata.ScopeEMData)
        plain = sinedon.copyRow(leginondata.CameraEMData, camera, save_frames=False, dimension_x=1024, dimension_y=1024)
        levels, parents = {"gr": "Grid", "sq": "Square", "hl": "Hole"}, [None]
        number = self.first // 2
        for preset, label in levels.items():
            row = sinedon.insertRow(leginondata.PresetData, session=self.made.session_id, name=preset)
            found = []
            for parent in parents:
                for place in range(1 if parent is None else 2):
                    target = None
                    if parent is not None:
                        target = sinedon.insertRow(leginondata.AcquisitionImageTargetData, session=self.made.session_id,
                                                   image=parent, delta_column=100.0 + 50 * place, delta_row=-200.0,
                                                   number=number)  # fmt: skip
                    image = sinedon.insertRow(
                        leginondata.AcquisitionImageData, session=self.made.session_id, camera=plain, scope=scope,
                        preset=row, target=target, filename=f"{self.made.name}_{number:05d}{preset}", label=label,
                    )  # fmt: skip
                    found.append(image.def_id)
                    number += 1
            parents = found
        self.holes = parents
        targets = [sinedon.insertRow(leginondata.AcquisitionImageTargetData, session=self.made.session_id, image=hole,
                                     delta_column=0.0, delta_row=0.0, number=1) for hole in parents]  # fmt: skip
        return [target.def_id for target in targets]

    def _insertRuns(self) -> tuple[Any, Any]:
        paths = {kind: sinedon.insertRow(appiondata.ApPathData, path=str(path)) for kind, path in self.folders.items()}
        params = sinedon.insertRow(appiondata.ApDDStackParamsData, preset=self.made.preset, align=True, bin=1)
        motion = sinedon.insertRow(appiondata.ApDDStackRunData, runname="ddstack1", params=params,
                                   session=self.made.session_id, path=paths["motion"])  # fmt: skip
        ctf = sinedon.insertRow(appiondata.ApAceRunData, name="ctf1", session=self.made.session_id, path=paths["ctf"],
                                hidden=False)  # fmt: skip
        return motion, ctf

    def _findRow(self, model: Any, **where: Any) -> int:
        return model.objects.filter(session_id=self.made.session_id, **where).order_by("def_id").first().def_id

    def nameExposure(self, image: int) -> str:
        return f"{self.made.name}_{image:05d}{self.made.preset}"

    def take(self, count: int) -> list[int]:
        """Take exposures; returns their ids."""
        start = max(self.exposures, default=self.first - 2) + 2
        ids = list(range(start, start + 2 * count, 2))
        now = datetime.now().replace(microsecond=0) - timedelta(seconds=INTERVAL * count)
        common = {
            "session_id": self.made.session_id, "preset_id": self.made.preset_id,
            "scope_id": self._findRow(leginondata.ScopeEMData),
            "camera_id": self._findRow(leginondata.CameraEMData, save_frames=True),
        }  # fmt: skip
        insertMany(leginondata.AcquisitionImageData, [
            {**common, "def_id": image, "def_timestamp": now + timedelta(seconds=INTERVAL * number),
             "filename": self.nameExposure(image), "mrc_image": f"{self.nameExposure(image)}.mrc",
             "target_id": self.parents[number % len(self.parents)] if self.parents else None}
            for number, image in enumerate(ids)])  # fmt: skip
        self.exposures += ids
        return ids

    def correct(self, ids: Iterable[int], lines: bool = True, **numbers: Any) -> None:
        """Store motion corrections: rows of the pairs and lines of the series."""
        ids = list(ids)
        preset = sinedon.insertRow(leginondata.PresetData, session=self.made.session_id, name=f"{self.made.preset}-a")
        insertMany(leginondata.AcquisitionImageData, [
            {"def_id": image + 1, "filename": f"{self.nameExposure(image)}-a", "session_id": self.made.session_id,
             "preset_id": preset.def_id, "mrc_image": f"{self.nameExposure(image)}-a.mrc"}
            for image in ids])  # fmt: skip
        insertMany(appiondata.ApDDAlignImagePairData, [
            {"def_id": image, "source_id": image, "result_id": image + 1, "ddstackrun_id": self.motion.def_id}
            for image in ids])  # fmt: skip
        if lines:
            base = {"drift": 10.0, "drift_jump": 1.5, "frames": 40, "dose": 50.0}
            self.appendLines("motion", ids, {**base, **numbers})

    def estimate(self, ids: Iterable[int], lines: bool = True, **numbers: Any) -> None:
        """Store CTFs of the aligned images of these exposures."""
        ids = list(ids)
        insertMany(appiondata.ApCtfData, [
            {"def_id": image, "acerun_id": self.ctf.def_id, "image_id": image + 1, "defocus1": 1.5e-6,
             "defocus2": 1.6e-6, "angle_astigmatism": 12.0, "ctffind4_resolution": 4.2, "confidence": 0.9,
             "graph1": f"{image}.jpg"}
            for image in ids])  # fmt: skip
        if lines:
            base = {"defocus": 15500.0, "astigmatism": 1000.0, "ctf_resolution": 4.2, "confidence": 0.9,
                    "spectrum": "1.jpg"}  # fmt: skip
            self.appendLines("ctf", [image + 1 for image in ids], {**base, **numbers})

    def appendLines(self, kind: str, ids: Iterable[int], numbers: dict[str, Any]) -> None:
        now = time.time()
        with open(seriesPath(self.folders[kind]), "a") as file:
            for image in ids:
                file.write(json.dumps({"image": image, "name": str(image), "stored": now, **numbers}) + "\n")

    def fail(self, kind: str, image: int, reason: str, next_try: float | None = None) -> None:
        """Note a failure as the daemon does."""
        record = {"image_id": image, "filename": self.nameExposure(image), "kind": "image", "count": 3,
                  "infrastructure": 0, "reason": reason, "remedy": "look at it", "command": "motioncor2", "host": "h",
                  "log_tail": "", "last": time.time(), "next_try": next_try}  # fmt: skip
        with open(attemptsPath(self.folders[kind]), "a") as file:
            file.write(json.dumps(record) + "\n")

    def saveEvents(self, kind: str, *events: dict[str, Any]) -> None:
        with open(eventsPath(self.folders[kind]), "a") as file:
            file.writelines(json.dumps({"time": time.time(), **event}) + "\n" for event in events)

    def saveStatus(self, kind: str, **facts: Any) -> None:
        """Write a status as the daemon of another host does, so that it counts as running."""
        counts = {**STATUS["counts"], **facts.pop("counts", {})}
        status = {**STATUS, "session": self.made.name, "rundir": str(self.folders[kind]), "started": time.time() - 3600,
                  "heartbeat": time.time(), "host": "another", **facts, "counts": counts}  # fmt: skip
        statusPath(self.folders[kind]).write_text(json.dumps(status))

    def url(self, rest: str = "") -> str:
        return f"/session/{self.made.name}/{rest}"
