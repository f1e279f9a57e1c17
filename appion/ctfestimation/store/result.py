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
from appion.ctfestimation.records import CTFConfidence, CTFResult
from appion.ctfestimation.store.run import CTFRun
from sinedon.models.appiondata import ApCtfData

#: What the analysis says, and the columns' names.
ANALYSIS = tuple(CTFConfidence.__dataclass_fields__)
RESOLUTIONS = ("resolution_80_percent", "resolution_50_percent")


def storeResult(result: CTFResult, run: CTFRun) -> tuple[str, ...]:
    """Write the row of one result; a row with the same values, as an interrupted attempt leaves it, is found again.

    Rows of an image that is estimated again stand beside the former ones. Returns the paths of the pictures.

    Raises:
        ImageFailure: its defocus is no number.
        ConfigurationFailure: the database lacks a table or column.
        django.db.Error: the database does not answer (`sinedon.isDatabaseAway`); to be repeated on a new connection.
    """
    try:
        sinedon.insertRow(ApCtfData, **constructFields(result, run.def_id))
    except sinedon.errors.SchemaError as error:
        raise ConfigurationFailure(f"cannot store {result.params.filename}: {error}") from error
    return tuple(f"{result.params.rundir}/opimages/{name}" for name in result.graphs if name)


def constructFields(result: CTFResult, run_id: int) -> dict[str, Any]:
    """Return the fields of the row of a result of the run.

    Defocus in m, angle in degrees, Cs in mm, resolutions in Å, phase shift in radians. SQL knows no infinity and no
    NaN: resolutions become 100000 then, anything else but the defocus 0.
    """
    params = result.params
    defocus1, defocus2, angle = convertToConvention(result.defocus1, result.defocus2, result.angle_astigmatism)
    if not all(map(math.isfinite, (defocus1, defocus2, angle))):
        raise ImageFailure(f"{params.filename}: defocus {defocus1} and {defocus2} m at {angle} degrees are no result")
    score, confidence_d = makeFinite(result.cross_correlation), makeFinite(result.confidence_d)
    fields: dict[str, Any] = {
        "acerun_id": run_id,
        "image_id": params.image_id,
        "cs": params.cs,
        "defocusinit": params.defocus_init,
        "amplitude_contrast": convertContrast(params.amplitude_contrast),
        "defocus1": defocus1,
        "defocus2": defocus2,
        "angle_astigmatism": angle,
        "cross_correlation": score,
        "confidence_d": confidence_d,
        "ctffind4_resolution": convertResolution(result.ctffind4_resolution),
        "extra_phase_shift": makeFinite(result.extra_phase_shift or 0.0),
        "localplot": result.localplot or None,
        "localCTFstarfile": result.localCTFstarfile or None,
    }
    fields |= {f"graph{number}": name or None for number, name in enumerate(result.graphs, 1)}
    analysis = result.analysis
    if analysis is not None:
        values = {name: makeFinite(getattr(analysis, name)) for name in ANALYSIS}
        values |= {name: convertResolution(getattr(analysis, name)) for name in RESOLUTIONS}
        fields |= values
        analysis = CTFConfidence(**values)
    fields["confidence"] = calcConfidence(makeFinite(result.confidence), confidence_d, analysis)
    return fields


def makeFinite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
