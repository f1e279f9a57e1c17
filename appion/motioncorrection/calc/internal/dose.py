"""Electron dose of a movie and of its frames, in e/Å²."""

from __future__ import annotations

#: Dose per raw frame that stands in the frame integration file when the dose is unknown; nothing is weighted with it.
NOMINAL_RAW_DOSE = 0.03


def calcTotalDose(totaldose: float | None, preset_dose: float | None) -> float | None:
    """Return the dose of the whole movie in e/Å²: `totaldose` if given, else the preset's dose (e/m²).

    None, zero and negative values mean that the dose is unknown; then None is returned.
    """
    dose = totaldose if totaldose is not None else None if preset_dose is None else preset_dose / 1e20
    return dose if dose is not None and dose > 0 else None


def calcRawFrameDose(totaldose: float | None, raw: int) -> float:
    """Return the dose of one raw frame in e/Å², NOMINAL_RAW_DOSE where the dose is unknown."""
    return totaldose / raw if totaldose else NOMINAL_RAW_DOSE


def calcFrameDose(totaldose: float | None, raw: int, size: int, integrated: bool) -> float | None:
    """Return the dose of one rendered frame (of `size` raw frames when `integrated`) in e/Å², or None when unknown."""
    if not totaldose:
        return None
    return totaldose / raw * (size if integrated else 1)
