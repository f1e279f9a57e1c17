"""The numbers of a fitted CTF, in the convention of the database and in Å and degrees."""

from __future__ import annotations

from typing import Any

from appion.ctfestimation.calc.internal.convention import NO_RESOLUTION, convertToConvention
from appion.ctfestimation.records import ComputedCTF

#: The end of the name of the picture that shows the spectrum and the fit side by side.
SPECTRUM = "-pow.jpg"


def calcNumbers(computed: ComputedCTF) -> dict[str, Any]:
    """Return the numbers of a micrograph as fields of a line (:mod:`appion.base.records.series`); None: not known.

    Defoci are positive for underfocus, the axis of astigmatism is that of the smaller one, from -90 to 90 degrees. A
    resolution of 100 Å says that the fit holds nowhere; one that the program cannot tell is None. `spectrum` is the
    base name of a picture in `opimages`.
    """
    result, asked = computed.result, computed.origin.taken.defocus
    defocus1, defocus2, axis = convertToConvention(result.defocus1, result.defocus2, result.angle_astigmatism)
    mean = (defocus1 + defocus2) / 2
    analysis = result.analysis
    resolution = result.ctffind4_resolution
    return {
        "defocus1": defocus1,
        "defocus2": defocus2,
        "defocus": mean,
        "defocus_error": None if asked is None else mean - asked,
        "astigmatism": defocus2 - defocus1,
        "astigmatism_axis": axis,
        "phase_shift": result.extra_phase_shift,
        "ctf_resolution": resolution if 0 < resolution < NO_RESOLUTION else None,
        "resolution_80": analysis.resolution_80_percent if analysis else None,
        "resolution_50": analysis.resolution_50_percent if analysis else None,
        "confidence": result.confidence,
        "score": result.cross_correlation,
        "tilt_angle": result.tilt_angle,
        "tilt_axis_angle": result.tilt_axis_angle,
        "thickness": result.thickness,
        "ice_ring": result.ice_ring,
        "spectrum": next((name for name in result.graphs if name.endswith(SPECTRUM)), None),
    }
