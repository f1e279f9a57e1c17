"""Storing the result of one micrograph: its `ApCtfData` row, which says at the same time that the image is done.

The worker has placed every file before it returned the result, so there is nothing but this one row to write.
"""

from __future__ import annotations

import math
from typing import Any

import sinedon
from appion.base.failures import ConfigurationFailure, ImageFailure
from appion.ctfestimation.calc.internal.convention import (
    calcConfidence,
    convertContrast,
    convertResolution,
    convertToConvention,
)
from appion.ctfestimation.records import ComputedCTF, CTFConfidence, CTFResult
from appion.ctfestimation.store.run import TILT_COLUMNS, CTFRun
from sinedon.models.appiondata import ApCtfData

#: Å in metres.
METRES = 1e-10

#: Digits that programs print of a phase shift in radians, and some more: without what its way through degrees adds.
RADIAN_DIGITS = 9

#: What the analysis says, and the columns' names.
ANALYSIS = tuple(CTFConfidence.__dataclass_fields__)
RESOLUTIONS = ("resolution_80_percent", "resolution_50_percent")


def storeResult(computed: ComputedCTF, run: CTFRun) -> tuple[str, ...]:
    """Write the row of one result; a row with the same values, as an interrupted attempt leaves it, is found again.

    Rows of an image that is estimated again stand beside the former ones. Returns the paths of the pictures.

    Raises:
        ImageFailure: its defocus is no number.
        ConfigurationFailure: the database lacks a table or column.
        django.db.Error: the database does not answer (`sinedon.isDatabaseAway`); to be repeated on a new connection.
    """
    try:
        sinedon.insertRow(ApCtfData, **constructFields(computed, run.def_id))
    except sinedon.errors.SchemaError as error:
        raise ConfigurationFailure(f"cannot store {computed.origin.filename}: {error}") from error
    return tuple(f"{computed.origin.rundir}/opimages/{name}" for name in computed.result.graphs if name)


def constructFields(computed: ComputedCTF, run_id: int) -> dict[str, Any]:
    """Return the fields of the row of a result of the run.

    Defocus in m, angle in degrees, Cs in mm, resolutions in Å, phase shift in radians. SQL knows no infinity and no
    NaN: resolutions become 100000 then, anything else but the defocus 0.
    """
    origin, result = computed.origin, computed.result
    defocus1, defocus2, angle = convertToConvention(result.defocus1, result.defocus2, result.angle_astigmatism)
    if not all(map(math.isfinite, (defocus1, defocus2, angle))):
        raise ImageFailure(f"{origin.filename}: defocus {defocus1} and {defocus2} Å at {angle} degrees are no result")
    score = None if result.cross_correlation is None else makeFinite(result.cross_correlation)
    confidence_d = None if result.confidence_d is None else makeFinite(result.confidence_d)
    fields: dict[str, Any] = {
        "acerun_id": run_id,
        "image_id": origin.image_id,
        "cs": result.params.cs,
        "defocusinit": origin.defocus_init * METRES,
        "amplitude_contrast": convertContrast(result.params.amplitude_contrast),
        "defocus1": defocus1 * METRES,
        "defocus2": defocus2 * METRES,
        "angle_astigmatism": angle,
        "cross_correlation": score,
        "confidence_d": confidence_d,
        "ctffind4_resolution": convertResolution(result.ctffind4_resolution),
        "extra_phase_shift": makeFinite(round(math.radians(result.extra_phase_shift), RADIAN_DIGITS)),
        "localplot": result.localplot or None,
        "localCTFstarfile": result.localCTFstarfile or None,
    }
    fields |= constructTilt(result)
    kind = result.params.program.kind
    if kind in ("gctffind", "cryosparc"):  # which search without a centre
        fields["defocusinit"] = fields["defocusinit"] or None
    if kind == "gctffind":  # which tells no resolution
        fields["ctffind4_resolution"] = None
    fields |= {f"graph{number}": name or None for number, name in enumerate(result.graphs, 1)}
    analysis = result.analysis
    if analysis is not None:
        values = {name: makeFinite(getattr(analysis, name)) for name in ANALYSIS}
        values |= {name: convertResolution(getattr(analysis, name)) for name in RESOLUTIONS}
        fields |= values
        analysis = CTFConfidence(**values)
    fields["confidence"] = calcConfidence(makeFinite(result.confidence), confidence_d or 0.0, analysis)
    return fields


def constructTilt(result: CTFResult) -> dict[str, float]:
    """Return the fields of the sample's tilt if it was asked for, is a number, and this database has their columns.

    Classic takes the defocus of single particles from these columns: they stay NULL, not 0, where nobody looked.
    """
    found = {"tilt_angle": result.tilt_angle, "tilt_axis_angle": result.tilt_axis_angle}
    finite = {name: value for name, value in found.items() if value is not None and math.isfinite(value)}
    if len(finite) < len(TILT_COLUMNS) or not all(sinedon.hasColumn(ApCtfData, name) for name in TILT_COLUMNS):
        return {}
    return finite


def makeFinite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
