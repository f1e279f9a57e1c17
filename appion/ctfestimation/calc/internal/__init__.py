"""Pure calculations on micrographs and fitted CTFs, and the pictures of them.

What is named here is imported when it is first asked for, so that a program that needs one module starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appion.ctfestimation.calc.internal.analysis import CTFAnalysis, calcCTFAnalysis, calcCTFConfidence
    from appion.ctfestimation.calc.internal.pictures import drawAverageRotation, drawDiagnostic
    from appion.ctfestimation.calc.internal.plots import drawPlots
    from appion.ctfestimation.calc.internal.powerspectrum import drawPowerSpectrum

__all__ = [
    "CTFAnalysis",
    "calcCTFAnalysis",
    "calcCTFConfidence",
    "drawAverageRotation",
    "drawDiagnostic",
    "drawPlots",
    "drawPowerSpectrum",
]

_MODULES = {
    "drawAverageRotation": "pictures",
    "drawDiagnostic": "pictures",
    "drawPlots": "plots",
    "drawPowerSpectrum": "powerspectrum",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'analysis')}"), name)
