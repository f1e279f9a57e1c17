"""The tables that RELION 5 and CryoSPARC import: optics groups, micrographs with their motion, and with their CTF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from appion.export.micrographs import Micrograph
from appion.export.motion import turnAxis
from appion.export.optics import Optics
from appion.export.star import Block, Value

#: Resolution (Å) that RELION gives to a fit that does not hold at all, and to those that are worse.
WORST = 25.0

#: Said in front of the numbers of motion.
UNIT = "rlnAccumMotion is in Angstrom of the specimen, as its description says, not in pixels"


@dataclass(frozen=True)
class Entry:
    """A micrograph and where its files lie in the export; `turn` leads from Leginon's orientation to that of its file.

    `metadata`: the STAR file of its motion; that and others may be empty.
    """

    micrograph: Micrograph
    group: int
    path: str
    plain: str = ""
    movie: str = ""
    metadata: str = ""
    spectrum: str = ""
    turn: tuple[bool, int] = (False, 0)


def constructOptics(groups: Sequence[Optics]) -> Block:
    """Return the table of optics groups; a column that is not known of each is left out."""
    columns: dict[str, list[Any]] = {
        "rlnOpticsGroupName": [f"opticsGroup{number}" for number in range(1, len(groups) + 1)],
        "rlnOpticsGroup": list(range(1, len(groups) + 1)),
        "rlnMicrographOriginalPixelSize": [one.original for one in groups],
        "rlnVoltage": [one.voltage for one in groups],
        "rlnSphericalAberration": [one.cs for one in groups],
        "rlnAmplitudeContrast": [one.contrast for one in groups],
        "rlnMicrographPixelSize": [one.pixelsize for one in groups],
    }
    return Block("optics", keepWhole(columns))


def constructCorrected(entries: Sequence[Entry]) -> Block:
    """Return the table of corrected_micrographs.star: every micrograph."""
    lines = [entry.micrograph.line for entry in entries]
    columns = constructNames(entries) | {
        "rlnMicrographMovieName": keepTexts([entry.movie for entry in entries]),
        "rlnMicrographMetadata": keepTexts([entry.metadata for entry in entries]),
        "rlnOpticsGroup": [entry.group for entry in entries],
        "rlnAccumMotionTotal": [line.get("drift") for line in lines],
        "rlnAccumMotionEarly": [line.get("drift_early") for line in lines],
        "rlnAccumMotionLate": [line.get("drift_late") for line in lines],
    }
    kept = keepWhole(columns)
    return Block("micrographs", kept, comments=(UNIT,) if "rlnAccumMotionTotal" in kept else ())


def constructFitted(entries: Sequence[Entry]) -> Block:
    """Return the table of micrographs_ctf.star: micrographs with a CTF.

    U is the larger defocus, V the smaller one, and the angle that of U, as CTFFIND writes them. Where RELION has a
    number of its own for "none" (0, and 25 Å), that stands for what single micrographs lack.
    """
    lines = [entry.micrograph.line for entry in entries]
    resolutions = [line.get("ctf_resolution") for line in lines]
    columns = constructNames(entries) | {
        "rlnOpticsGroup": [entry.group for entry in entries],
        "rlnCtfImage": [f"{entry.spectrum}:mrc" if entry.spectrum else None for entry in entries],
        "rlnDefocusU": [line["defocus2"] for line in lines],
        "rlnDefocusV": [line["defocus1"] for line in lines],
        "rlnCtfAstigmatism": [abs(line["defocus2"] - line["defocus1"]) for line in lines],
        "rlnDefocusAngle": [turnAxis(entry.micrograph.line["astigmatism_axis"] + 90, entry.turn) for entry in entries],
        "rlnCtfFigureOfMerit": fillGaps([line.get("score") for line in lines], 0.0),
        "rlnCtfMaxResolution": [None if one is None else min(one, WORST) for one in fillGaps(resolutions, WORST)],
    }
    if any(line.get("phase_shift") for line in lines):
        columns["rlnPhaseShift"] = fillGaps([line.get("phase_shift") for line in lines], 0.0)
    columns["rlnCtfIceRingDensity"] = fillGaps([line.get("ice_ring") for line in lines], 0.0)
    return Block("micrographs", keepWhole(columns))


def constructNames(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    return {
        "rlnMicrographName": [entry.path for entry in entries],
        "rlnMicrographNameNoDW": [entry.plain or None for entry in entries],
    }


def keepTexts(texts: Sequence[str]) -> list[str | None]:
    """Return texts of which single ones may be empty, but not all."""
    return list(texts) if any(texts) else [None] * len(texts)


def fillGaps(values: Sequence[float | None], empty: float) -> list[float | None]:
    """Return values with RELION's number for those that are not known, if any is known."""
    known = any(value is not None for value in values)
    return [empty if known and value is None else value for value in values]


def keepWhole(columns: dict[str, list[Any]]) -> dict[str, Sequence[Value]]:
    """Return the columns that have a value in each row: there is no way to write that one is missing."""
    return {label: values for label, values in columns.items() if all(value is not None for value in values)}
