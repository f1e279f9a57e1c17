"""Tables that an External job of CryoSPARC takes: micrographs, and those with a CTF; paths relative to its project.

A column is written for all rows or for none. Where CryoSPARC itself has a number for "none", 0, that stands for single
rows; an exposure whose CTF is not known as a whole is in the first table only.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from appion.base.failures import ConfigurationFailure, Failure
from appion.base.retrieve.movies import readMovieHeader
from appion.base.store.files import writeAtomically
from appion.export.micrographs import LeftOut, Micrograph, checkName, getTask, readFiles, requireExposures
from appion.export.optics import assignGroups
from appion.export.place import Place
from appion.export.session import Exposure
from appion.export.starfiles import MICROGRAPHS

#: Names of the tables.
ALL, FITTED = "micrographs.cs", "exposures.cs"

#: How CryoSPARC calls a micrograph of 32-bit numbers in an MRC file.
FORMAT = "MRC/2"


@dataclass(frozen=True)
class ExportedTables:
    """What was written: the tables, how many micrographs are in each; what was left out."""

    files: tuple[Path, ...]
    micrographs: int
    fitted: int
    left_out: tuple[str, ...]


def exportCryosparc(exposures: Sequence[Exposure], place: Place, contrast: float | None = None) -> ExportedTables:
    """Write the tables of some exposures, and links or copies of the micrographs that they name.

    Raises:
        ConfigurationFailure: there is nothing to export. OSError: a file cannot be written.
    """
    left_out = LeftOut()
    micrographs = readFiles(exposures, left_out, contrast)
    requireExposures(micrographs, left_out, "no micrograph has all that it takes")
    _, numbers = assignGroups([one.optics for one in micrographs])
    rows, fitted = [], []
    for micrograph, number in zip(micrographs, numbers, strict=True):
        try:
            row = constructRow(micrograph, number, place)
        except Failure as failure:
            left_out.add(failure.reason, micrograph.exposure.name)
            continue
        rows.append(row)
        fit = constructFit(micrograph, number)
        if fit:
            fitted.append(row | fit)
        else:
            left_out.add(f"its CTF is not known: only in {ALL}", micrograph.exposure.name)
    requireExposures(rows, left_out, "no micrograph could be placed")
    files = [place.folder / ALL]
    writeAtomically(files[0], formatTable(rows))
    if fitted:
        files.append(place.folder / FITTED)
        writeAtomically(files[1], formatTable(fitted))
    else:
        (place.folder / FITTED).unlink(missing_ok=True)
    return ExportedTables(tuple(files), len(rows), len(fitted), tuple(left_out.describe()))


def constructRow(micrograph: Micrograph, group: int, place: Place) -> dict[str, Any]:
    """Return what CryoSPARC has to know of a micrograph, which is placed. Raises Failure: its file cannot be read."""
    optics, name = micrograph.optics, checkName(Path(micrograph.path).name)
    if optics.cs is None:
        raise ConfigurationFailure("its spherical aberration is not known", "enter it in Leginon")
    shape = readMovieHeader(micrograph.path).shape
    return {
        "uid": calcUid(micrograph.session, name),
        "micrograph_blob/path": place.place(micrograph.path, MICROGRAPHS, micrograph.session, name),
        "micrograph_blob/idx": 0,
        "micrograph_blob/shape": shape,
        "micrograph_blob/psize_A": optics.pixelsize,
        "micrograph_blob/format": FORMAT,
        "micrograph_blob/is_background_subtracted": 0,
        "mscope_params/accel_kv": optics.voltage,
        "mscope_params/cs_mm": optics.cs,
        "mscope_params/total_dose_e_per_A2": findDose(micrograph),
        "mscope_params/exp_group_id": group,
        "mscope_params/phase_plate": int(bool(micrograph.line.get("phase_shift"))),
        "mscope_params/neg_stain": 0,
    }


def findDose(micrograph: Micrograph) -> float:
    """Return the dose of an exposure, e/Å²; 0 where it is not known, as in CryoSPARC."""
    try:
        return getTask(micrograph.exposure).params.totaldose or 0.0
    except Failure:
        return 0.0


def constructFit(micrograph: Micrograph, group: int) -> dict[str, Any]:
    """Return the columns of the CTF, nothing where a part of it is not known.

    The first defocus is the larger one, Å, positive for underfocus, and the angle that of its axis, in radians from the
    columns towards the rows of the micrograph as it lies.
    """
    line, optics = micrograph.line, micrograph.optics
    names = ("defocus1", "defocus2", "astigmatism_axis")
    known = [line.get(name) for name in names] + [optics.cs, optics.contrast]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in known):
        return {}
    resolution, score, phase = (line.get(name) or 0.0 for name in ("ctf_resolution", "score", "phase_shift"))
    return {
        "ctf/exp_group_id": group,
        "ctf/accel_kv": optics.voltage,
        "ctf/cs_mm": optics.cs,
        "ctf/amp_contrast": optics.contrast,
        "ctf/df1_A": line["defocus2"],
        "ctf/df2_A": line["defocus1"],
        "ctf/df_angle_rad": math.radians((line["astigmatism_axis"] + 180) % 180 - 90),
        "ctf/phase_shift_rad": math.radians(phase),
        "ctf/ctf_fit_to_A": resolution,
        "ctf/cross_corr_ctffind4": score,
        "ctf/scale": 1.0,
    }


def calcUid(session: str, name: str) -> int:
    """Return the number of a micrograph, the same at every export."""
    return int.from_bytes(hashlib.sha1(f"{session}/{name}".encode(), usedforsecurity=False).digest()[:8], "little")


def formatTable(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows of the same columns as CryoSPARC's table: a record array in numpy's format, texts as bytes."""
    columns = [(name, *findType(name, [row[name] for row in rows])) for name in rows[0]]
    table = np.array([tuple(row[name] for name in rows[0]) for row in rows], dtype=columns)
    file = io.BytesIO()
    np.save(file, table, allow_pickle=False)
    return file.getvalue()


def findType(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Return numpy's type of a column: 64 bits of a uid, else 32, and as many bytes as the longest text has."""
    first = values[0]
    if name == "uid":
        return ("<u8",)
    if isinstance(first, str):
        return (f"S{max(len(value.encode()) for value in values)}",)
    if isinstance(first, tuple):
        return ("<u4", (len(first),))
    return ("<u4",) if isinstance(first, int) else ("<f4",)
