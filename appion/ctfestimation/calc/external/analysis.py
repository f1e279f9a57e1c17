"""What is made after the program's numbers: confidences, resolutions and pictures. A failing one costs no number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from appion.base.failures import InfrastructureFailure
from appion.base.programs.follow import tryFolder
from appion.base.programs.output import readText
from appion.base.retrieve.picture import readMicrograph
from appion.base.store.files import moveFile
from appion.ctfestimation.calc import internal  # imports what is asked of it, when it is
from appion.ctfestimation.calc.external.estimate import Estimate
from appion.ctfestimation.calc.external.parse import parseAverages
from appion.ctfestimation.calc.external.star import parseLocalStar
from appion.ctfestimation.calc.internal.convention import convertContrast, findImplausible
from appion.ctfestimation.calc.internal.icering import calcIceRing
from appion.ctfestimation.records import CTFConfidence, CTFParams

if TYPE_CHECKING:
    from appion.ctfestimation.calc.internal import CTFAnalysis

log = logging.getLogger(__name__)

#: Ends of the pictures' names: of the analysis, of what the program made, of the local refinement.
POWERSPEC, PLOTS, DIAGNOSTIC, AVERAGES, LOCAL = (
    "-powerspec.jpg", "-plots.png", "-pow.jpg", "-pow_avrot.png", "_localDF.png",
)  # fmt: skip

#: A picture: the end of its name, and what draws it into a file.
Drawing = tuple[str, Callable[[Path], object]]


@dataclass(frozen=True)
class Analysis:
    """Confidences and resolutions, or None; base names of the pictures, empty for those that were not made."""

    confidence: CTFConfidence | None
    graphs: tuple[str, str, str, str]
    localplot: str
    warnings: tuple[str, ...]


def analyseFit(
    params: CTFParams,
    defocus: tuple[float, float, float],
    phase_shift: float,
    estimate: Estimate,
    scratch: Path,
) -> Analysis:
    """Analyse a fit on the micrograph and draw its pictures into ``opimages`` of the folder, if there is one.

    Args:
        defocus: defocus1, defocus2 (Å) and angle (degrees) in the convention; phase_shift: radians.
        estimate: what the program made. scratch: folder in which the pictures are drawn before they are moved.

    Raises:
        InfrastructureFailure: the disk of the micrograph, of the scratch folder or of the pictures is away or full.
    """
    warnings: list[str] = []
    found = None
    implausible = findImplausible(*defocus[:2], params.cs, params.voltage, params.amplitude_contrast)
    if params.analyse and implausible:
        warnings.append(f"not analysed: {'; '.join(implausible)}")
    elif params.analyse:
        try:
            found = _calcAnalysis(params, defocus, phase_shift)
        except InfrastructureFailure:
            raise
        except Exception as error:
            log.debug("the analysis of %s failed", params.micrograph, exc_info=True)
            warnings.append(f"not analysed: {_describe(error)}")
    if found is not None and found.reason:
        warnings.append(f"confidences and resolutions cannot be told: {found.reason}")
    confidence = found.confidence if found else None
    if not params.folder:
        return Analysis(confidence, ("", "", "", ""), "", tuple(warnings))
    made, troubles = drawPictures(params, _constructDrawings(params, found, estimate), scratch)
    graphs = constructGraphs(params.name, made)
    localplot = f"{params.name}{LOCAL}" if LOCAL in made else ""
    return Analysis(confidence, graphs, localplot, (*warnings, *troubles))


def drawPictures(params: CTFParams, drawings: Sequence[Drawing], scratch: Path) -> tuple[set[str], list[str]]:
    """Draw pictures and move them to ``opimages``; return the ends of the names of those made, and what went wrong.

    Raises:
        InfrastructureFailure: a disk took one of them not, nor anything else.
    """
    folder = Path(params.folder) / "opimages"
    made, warnings = set(), []
    for end, draw in drawings:
        name = f"{params.name}{end}"
        try:
            draw(scratch / name)
            moveFile(scratch / name, folder / name)
        except Exception as error:
            _blameDisk(error, scratch, folder)
            log.debug("picture %s failed", name, exc_info=True)
            warnings.append(f"no picture {name}: {_describe(error)}")
        else:
            made.add(end)
    return made, warnings


def _blameDisk(error: Exception, *folders: Path) -> None:
    """Raise InfrastructureFailure if the system refused something and one of the folders cannot be written to."""
    for folder in folders if isinstance(error, (OSError, InfrastructureFailure)) else ():
        tryFolder(folder)


def constructGraphs(short: str, made: set[str]) -> tuple[str, str, str, str]:
    """Return the base names of graph1 to graph4: the pictures of the analysis first, then those of the program.

    The web pages show no fit without a graph1, so there is always one, if need be of a picture that could not be made.
    """
    ends = [POWERSPEC, PLOTS, DIAGNOSTIC, AVERAGES]
    if not made & {POWERSPEC, PLOTS}:
        ends = [DIAGNOSTIC, AVERAGES, "", ""]
    elif POWERSPEC not in made:
        ends = [PLOTS, "", DIAGNOSTIC, AVERAGES]
    first, second, third, fourth = (f"{short}{end}" if end in made else "" for end in ends)
    return first or f"{short}{DIAGNOSTIC}", second, third, fourth


def _calcAnalysis(params: CTFParams, defocus: tuple[float, float, float], phase_shift: float) -> CTFAnalysis:
    defocus1, defocus2, angle = defocus
    return internal.calcCTFAnalysis(
        readMicrograph(params.micrograph), params.micrograph_pixelsize, defocus1 * 1e-10, defocus2 * 1e-10, angle,
        params.cs, params.voltage * 1000, convertContrast(params.amplitude_contrast), phase_shift,
    )  # fmt: skip


def _constructDrawings(params: CTFParams, analysis: CTFAnalysis | None, estimate: Estimate) -> list[Drawing]:
    """Return what is to be drawn. Whatever can fail, imports included, does so when a drawing is called."""
    diagnostic, averages, local = estimate.diagnostic, estimate.averages, estimate.local
    drawings: list[Drawing] = []
    if analysis is not None:
        drawings.append((POWERSPEC, lambda path: internal.drawPowerSpectrum(path, analysis)))
        drawings.append((PLOTS, lambda path: internal.drawPlots(path, analysis)))
    if diagnostic is not None:
        drawings.append((DIAGNOSTIC, lambda path: internal.drawDiagnostic(path, readMicrograph(str(diagnostic)))))
    if averages is not None:
        drawings.append(
            (AVERAGES, lambda path: internal.drawAverageRotation(path, _readAverages(params, averages)))
        )
    if local is not None:
        drawings.append((LOCAL, lambda path: _drawLocal(path, parseLocalStar(readText(local)), params.dimension)))
    return drawings


def _readAverages(params: CTFParams, path: Path) -> NDArray[np.float64]:
    curves = parseAverages(readText(path))
    if params.program.version.startswith("4.0"):
        curves[0] /= params.pixelsize  # 4.0 counts in 1/pixel
    return curves


def measureIce(params: CTFParams, estimate: Estimate) -> float | None:
    """Return the number of the ice ring in the curves that the program wrote; None if there are none to be read."""
    if estimate.averages is None:
        return None
    try:
        frequency, average = _readAverages(params, estimate.averages)[:2]
    except (OSError, ValueError) as error:
        log.debug("no number of the ice ring of %s: %s", params.micrograph, error)
        return None
    return calcIceRing(frequency, average)


def _drawLocal(path: Path, points: NDArray[np.float64], dimension: tuple[int, int]) -> None:
    from appion.ctfestimation.calc.internal.localplot import drawLocalDefocus

    drawLocalDefocus(path, points, dimension)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
