"""Where and how to search for the defocus: by the options, and by what an earlier result of the image says."""

from __future__ import annotations

from dataclasses import dataclass

from appion.base.failures import ImageFailure
from appion.ctfestimation.records import CTFOptions
from appion.ctfestimation.retrieve.best import EarlierCTF

#: Below this an earlier result's astigmatism (Å) is no measure of what is to be tolerated.
LEAST_ASTIGMATISM = 10.0

#: Resolution (Å) that stands for an earlier result without one.
NO_RESOLUTION = 100.0


@dataclass(frozen=True)
class Search:
    """Centre, limits, step and tolerated astigmatism (all Å), amplitude contrast, and limit of the fit (Å)."""

    centre: float
    defmin: float
    defmax: float
    defstep: float
    astigmatism: float
    amplitude_contrast: float
    resmax: float


def calcSearch(options: CTFOptions, best: EarlierCTF | None, defocus: float | None, is_gctf: bool) -> Search:
    """Return the search for one image.

    Args:
        best: the best earlier result of the image, or None.
        defocus: the microscope's, m.
        is_gctf: Gctf's rules, where they differ from CTFFIND's.

    Raises:
        ImageFailure: nothing tells around which defocus to search.
    """
    if options.nominal is not None:
        best = None
    centre = calcCentre(options, best, defocus)
    half = options.defstep * options.numstep
    defmin = round(centre - half, 1)
    given = best if options.bestdb else None
    return Search(
        centre=centre,
        defmin=defmin if defmin >= 0 else options.defstep,
        defmax=round(centre + half, 1),
        defstep=options.defstep,
        astigmatism=calcAstigmatism(options, given, is_gctf),
        amplitude_contrast=calcAmplitudeContrast(options, given, is_gctf),
        resmax=calcResmax(options, given, is_gctf),
    )


def calcGctffindSearch(options: CTFOptions, best: EarlierCTF | None, defocus: float | None) -> Search:
    """Return the amplitude contrast, and the expected defocus (Å, 0 if nothing tells) that is noted with the result.

    GCtfFind searches where it likes. With --bestdb both are those of an earlier result, as in :func:`calcSearch`.
    """
    given = best if options.bestdb else None
    centre = abs(defocus or 0.0) * 1e10
    if given is not None and given.defocus1 is not None and given.defocus2 is not None:
        centre = (abs(given.defocus1) + abs(given.defocus2)) / 2 * 1e10
    contrast = calcAmplitudeContrast(options, given, is_gctf=False)
    return Search(centre, 0.0, 0.0, 0.0, 0.0, contrast, options.resmax)


def calcCentre(options: CTFOptions, best: EarlierCTF | None, defocus: float | None) -> float:
    """Return the defocus (Å) around which is searched: given, of the earlier result, or of the microscope."""
    if options.nominal is not None:
        return abs(options.nominal)
    if best is not None and best.defocus1 is not None and best.defocus2 is not None:
        return min(abs(best.defocus1), abs(best.defocus2)) * 1e10
    if defocus is None:
        raise ImageFailure("the microscope row has no defocus to search around", "give --nominal=MICRONS")
    return abs(defocus * 1e10)


def calcAstigmatism(options: CTFOptions, best: EarlierCTF | None, is_gctf: bool) -> float:
    if best is not None and best.defocus1 is not None and best.defocus2 is not None:
        difference = round(abs(best.defocus1 - best.defocus2) * 1e10, 1)
        if is_gctf or difference >= LEAST_ASTIGMATISM:
            return difference
    return options.dast


def calcAmplitudeContrast(options: CTFOptions, best: EarlierCTF | None, is_gctf: bool) -> float:
    contrast = best.amplitude_contrast if best is not None else None
    if contrast is not None and (contrast > 0 or (is_gctf and contrast == 0)):
        return round(contrast, 3)
    return options.ampcontrast


def calcResmax(options: CTFOptions, best: EarlierCTF | None, is_gctf: bool) -> float:
    """Return the limit of the fit (Å): the geometric mean of what was asked for and what an earlier fit reached."""
    if best is None:
        return options.resmax
    reached = [best.resolution_80_percent, best.resolution_50_percent]
    if is_gctf:
        reached = [value or best.ctffind4_resolution or NO_RESOLUTION for value in reached]
    if any(value is None or not value > 0 for value in reached):
        return options.resmax
    mean = (reached[0] * reached[1] * options.resmax) ** (1 / 3)  # type: ignore[operator]
    return round(mean, 2) if mean < 0.9 * options.resmin else options.resmax
