"""What speaks against a fit that is stored all the same: people look at what a run warns of, and at few of its rows."""

from __future__ import annotations

import math

from appion.ctfestimation.calc.internal.convention import Fit, convertResolution
from appion.ctfestimation.records import CTFConfidence, CTFParams

#: A fit near focus has its first ring near 10 Å and next to nothing between 30 and 10; its peaks say that it is right.
GOOD_PEAKS = 0.5

#: A resolution may be beyond the limit of the pixels by what rounding adds.
ROUNDING = 0.005

NO_RINGS = "the fit found no rings"
ADVICE = "look at the picture: thick or crystalline ice, no sample, a phase plate without a search for its shift"


def findDoubts(params: CTFParams, fit: Fit, confidence: CTFConfidence | None) -> list[str]:
    """Return in words why a fit may be none, and why its resolution cannot be.

    Args:
        confidence: of the analysis of the fit, None if there is none.
    """
    return [*_findNoRings(params, fit, confidence), *_findBeyondNyquist(params, fit)]


def _findNoRings(params: CTFParams, fit: Fit, confidence: CTFConfidence | None) -> list[str]:
    # Where Gctf and GCtfFind tell no resolution, nothing follows; CTFFIND always tells one, if need be inf.
    told = math.isfinite(fit.resolution) or params.program.kind == "ctffind"
    if told and convertResolution(fit.resolution) >= params.resmin:
        return [f"{NO_RINGS}: it holds up to {fit.resolution:g} Å and began at {params.resmin:g} Å; {ADVICE}"]
    if confidence and confidence.confidence_30_10 < 0 and confidence.confidence_5_peak < GOOD_PEAKS:
        return [f"{NO_RINGS}: its confidence from 30 to 10 Å is {confidence.confidence_30_10:.2f}; {ADVICE}"]
    return []


def _findBeyondNyquist(params: CTFParams, fit: Fit) -> list[str]:
    limit = 2 * params.pixelsize
    if 0 < fit.resolution < (1 - ROUNDING) * limit:
        return [f"the program's resolution of the fit is beyond the Nyquist limit of the pixels, {limit:g} Å"]
    return []
