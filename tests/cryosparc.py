"""CryoSPARC's folders as its published formats describe them: jobs and Live sessions, small or large."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bson
import mrcfile
import numpy as np

from appion.base.calc.cryosparc import calcSignature

SHAPE = (96, 128)
FRAMES = 6
PIXEL = 1.25
TIME = 1e9


@dataclass(frozen=True)
class Made:
    """One exposure as CryoSPARC has it.

    Attributes:
        movie: path that it was imported from. uid: its number; prefix: that its files begin with.
        link: what its movie is called in the project, without the prefix; that of the movie unless given.
        micrograph: an imported micrograph in place of a movie.
        points: (x, y) of each frame. defocus: df1, df2 (Å) and the angle (radians); None: no fit.
        image: as CryoSPARC has it.
    """

    movie: str
    uid: int
    link: str = ""
    micrograph: str = ""
    points: tuple[tuple[float, float], ...] = (
        (0.5, 0.25), (1.0, -0.5), (1.5, -1.5), (1.75, -2.0), (2.0, -2.5), (2.0, -3.0),
    )  # fmt: skip
    defocus: tuple[float, float, float] | None = (16005.0, 15005.2, 0.5)
    image: Any = field(default=None, compare=False)
    frames: tuple[int, int, int] = (FRAMES, 0, FRAMES)
    values: tuple[tuple[str, Any], ...] = ()

    @property
    def prefix(self) -> str:
        return f"{self.uid:021d}_"

    @property
    def stem(self) -> str:
        """Of the names of what CryoSPARC makes of it."""
        return self.prefix + Path(self.link or self.movie).stem


@dataclass(frozen=True)
class Project:
    """A project of CryoSPARC's; `plain`: whether sums without dose weighting are kept as well."""

    folder: Path
    plain: bool = True
    prefixed: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "project.json").write_text("{}")

    def place(self, job: str, made: Made, files: bool = True) -> dict[str, Any]:
        """Write the files of an exposure, and return its values by their names."""
        values: dict[str, Any] = {"uid": made.uid}
        if made.micrograph:
            values |= self._link("imported", made.micrograph, made, "micrograph_blob", SHAPE)
        else:
            shape = (made.frames[0], *SHAPE)
            values |= self._link("imported", made.movie, made, "movie_blob", shape)
            values |= self._move(job, made, files)
        if made.defocus is not None:
            values |= constructFit(*made.defocus)
        return values | dict(made.values)

    def _link(self, room: str, target: str, made: Made, slot: str, shape: tuple[int, ...]) -> dict[str, Any]:
        name = f"J1/{room}/{made.prefix}{made.link or Path(target).name}"
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink():
            path.symlink_to(target)
        return {f"{slot}/path": self._tell(name), f"{slot}/import_sig": calcSignature(target),
                f"{slot}/shape": shape, f"{slot}/psize_A": PIXEL}

    def _move(self, job: str, made: Made, files: bool) -> dict[str, Any]:
        base = f"{job}/motioncorrected/{made.stem}"
        names = {"micrograph_blob": f"{base}_patch_aligned_doseweighted.mrc"}
        if self.plain:
            names["micrograph_blob_non_dw"] = f"{base}_patch_aligned.mrc"
        trajectory = f"{base}_rigid_traj.npy"
        if files and made.image is not None:
            (self.folder / job / "motioncorrected").mkdir(parents=True, exist_ok=True)
            np.save(self.folder / trajectory, np.array([made.points], np.float32))
            os.utime(self.folder / trajectory, (TIME, TIME))
            for name in names.values():
                saveImage(self.folder / name, made.image)
        values: dict[str, Any] = {}
        for slot, name in names.items():
            values |= {f"{slot}/path": self._tell(name), f"{slot}/shape": SHAPE, f"{slot}/psize_A": PIXEL}
        total, first, last = made.frames
        return values | {
            "rigid_motion/path": self._tell(trajectory), "rigid_motion/idx": 0, "rigid_motion/frame_start": first,
            "rigid_motion/frame_end": last, "rigid_motion/zero_shift_frame": total // 2, "rigid_motion/psize_A": PIXEL,
        }  # fmt: skip

    def _tell(self, name: str) -> str:
        return f">{name}" if self.prefixed else name

    def makeJob(self, job: str, made: Sequence[Made], status: str = "completed", files: bool = True,
                rng: np.random.Generator | None = None) -> Path:  # fmt: skip
        """Write a job: its own table and what it passes through, in another order of rows."""
        folder = self.folder / job
        folder.mkdir(parents=True, exist_ok=True)
        rows = [self.place(job, one, files) for one in made]
        own = [{key: value for key, value in row.items() if not key.startswith("movie_blob/")} for row in rows]
        passed = [{key: value for key, value in row.items() if key == "uid" or key.startswith("movie_blob/")}
                  for row in rows]  # fmt: skip
        order = (rng or np.random.default_rng(3)).permutation(len(rows))
        saveTable(folder / f"{job}_micrographs.cs", own)
        saveTable(folder / f"{job}_passthrough_micrographs.cs", [passed[place] for place in order])
        results = [
            constructResult("micrographs", "micrograph_blob", False, f"{job}/{job}_micrographs.cs"),
            constructResult("micrographs", "movie_blob", True, f"{job}/{job}_passthrough_micrographs.cs"),
        ]
        document = {"uid": job, "job_type": "patch_ctf_estimation_multi", "status": status, "version": "v4.7.1",
                    "output_results": results}  # fmt: skip
        (folder / "job.json").write_text(json.dumps(document))
        return folder

    def makeSession(self, name: str, made: Sequence[Made], files: bool = True, **changes: dict[int, Any]) -> Path:
        """Write a Live session; `changes`: of single exposures' fields, by their uid."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        documents = []
        for one in made:
            values = self.place(name, replace(one, uid=one.uid), files)
            group: dict[str, Any] = {}
            for key, value in values.items():
                slot, _, field_name = key.partition("/")
                if field_name:
                    group.setdefault(slot, {})[field_name] = [convert(value)]  # lists of one, as documented
            fields = {key: each[one.uid] for key, each in changes.items() if one.uid in each}
            documents.append({
                "uid": one.uid, "abs_file_path": one.movie, "stage": "ready", "failed": False, "deleted": False,
                "test": False, "manual_reject": False, "attributes": {"total_motion_dist": calcDistance(one.points)},
                "groups": {"exposure": group}, "preview": b"\0" * 64, **fields,
            })  # fmt: skip
        (folder / "exposures.bson").write_bytes(bson.encode({"exposures": documents}))
        return folder


def convert(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value - (1 << 64) if isinstance(value, int) and value >= 1 << 63 else value


def calcDistance(points: Sequence[tuple[float, float]]) -> float:
    return sum(math.dist(here, there) for here, there in itertools.pairwise(points))


def constructFit(df1: float, df2: float, angle: float) -> dict[str, Any]:
    return {
        "ctf/df1_A": df1, "ctf/df2_A": df2, "ctf/df_angle_rad": angle, "ctf/phase_shift_rad": 0.0, "ctf/cs_mm": 2.7,
        "ctf/amp_contrast": 0.1, "ctf/accel_kv": 300.0, "ctf/ctf_fit_to_A": 3.5, "ctf/cross_corr_ctffind4": 0.0,
        "ctf_stats/cross_corr": 0.42, "ctf_stats/spectrum_dim": 512, "ctf_stats/ice_thickness_rel": 1.08,
        "ctf_stats/df_range": (15000.0, 16000.0),
    }  # fmt: skip


def constructResult(group: str, name: str, passthrough: bool, path: str) -> dict[str, Any]:
    stale = "J0/not_there.cs"
    return {"group_name": group, "name": name, "type": "exposure", "passthrough": passthrough,
            "metafiles": [stale, path], "versions": [0, 1], "num_items": 1}  # fmt: skip


def saveTable(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CryoSPARC does: a record array in numpy's format, texts as bytes of one length."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    types = [(column, *findType(column, [row[column] for row in rows if column in row])) for column in columns]
    table = np.zeros(len(rows), types)
    for place, row in enumerate(rows):
        for column, value in row.items():
            table[column][place] = value
    with path.open("wb") as file:
        np.save(file, table, allow_pickle=False)
    os.utime(path, (TIME, TIME))


def findType(column: str, values: Sequence[Any]) -> tuple[Any, ...]:
    first = values[0]
    if isinstance(first, str):
        return (f"S{max(len(value) for value in values)}",)
    if isinstance(first, tuple):
        return ("f4" if isinstance(first[0], float) else "u4", (len(first),))
    if column.endswith("import_sig") or column == "uid":
        return ("u8",)
    return ("u4",) if isinstance(first, int) else ("f4",)


def saveImage(path: Path, image: np.ndarray) -> None:
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(image)
        mrc.voxel_size = PIXEL
    os.utime(path, (TIME, TIME))


def turnFromLeginon(picture: np.ndarray, flip: bool, rotate: int) -> np.ndarray:
    """Return a picture in Leginon's orientation as CryoSPARC's micrograph has it, by numpy alone: rows run the other
    way than those of the camera's frames."""
    frames = np.rot90(picture, -rotate)
    return np.ascontiguousarray(frames if flip else frames[::-1])
