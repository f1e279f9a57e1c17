"""Pure calculations on micrographs and fitted CTFs."""

from appion.ctfestimation.calc.internal.analysis import CTFAnalysis, calcCTFAnalysis, calcCTFConfidence
from appion.ctfestimation.records import CTFConfidence

__all__ = ["CTFAnalysis", "CTFConfidence", "calcCTFAnalysis", "calcCTFConfidence"]
