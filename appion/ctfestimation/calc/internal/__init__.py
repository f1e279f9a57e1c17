"""Pure calculations on micrographs and fitted CTFs.

What is named here is imported when it is first asked for, so that a program that needs one module starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appion.ctfestimation.calc.internal.analysis import CTFAnalysis, calcCTFAnalysis, calcCTFConfidence

__all__ = ["CTFAnalysis", "calcCTFAnalysis", "calcCTFConfidence"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("appion.ctfestimation.calc.internal.analysis"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
