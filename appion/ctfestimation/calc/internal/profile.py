"""The radial profile of a power spectrum along ellipses on which the contrast transfer function is the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from appion.ctfestimation.calc.internal.lowpass import filterMirrored
from appion.ctfestimation.calc.internal.model import Defocus, Optics, calcExtrema
from appion.ctfestimation.calc.internal.rings import calcEllipticalRadius, calcRingMeans


class TooFewOscillations(ValueError):
    """A spectrum shows too little of the contrast transfer function to be judged."""


@dataclass(frozen=True)
class Profile:
    """A profile from the first peak of the CTF out to the corners of the spectrum.

    Attributes:
        frequency: 1/Å, of the CTF with the mean defocus. values: means of the spectrum.
        peaks, valleys: of the squared CTF, 1/Å, up to the last frequency and one more.
    """

    frequency: np.ndarray
    values: np.ndarray
    peaks: np.ndarray
    valleys: np.ndarray


def calcRingWidth(defocus: float) -> float:
    """Return the width of the rings in pixels for `defocus` in Å: the smaller it is, the wider are the oscillations."""
    if defocus < 6000:
        return 1.5
    if defocus < 10000:
        return 1.1
    return 0.5 if defocus > 50000 else 1.0


def calcEllipseRatio(defocus: Defocus, optics: Optics) -> float:
    """Return how much farther out the first valley lies on the axis of the smaller defocus than across it."""
    smaller = calcExtrema(defocus.smaller, optics, 0.0, peaks=False)
    larger = calcExtrema(defocus.larger, optics, 0.0, peaks=False)
    if not len(smaller):
        raise TooFewOscillations(f"at {defocus.smaller:.0f} Å defocus the CTF has no zero")
    return float(smaller[0] / larger[0])


def calcProfile(spectrum: np.ndarray, frequency_step: float, defocus: Defocus, optics: Optics) -> Profile:
    """Return the profile of `spectrum`, whose pixels are `frequency_step` (1/Å) apart.

    Raises TooFewOscillations if it has fewer than two peaks.
    """
    width, ratio = calcRingWidth(defocus.mean), calcEllipseRatio(defocus, optics)
    means = calcRingMeans(spectrum, calcEllipticalRadius(len(spectrum), ratio, defocus.angle), width)
    ring_step = width / math.sqrt(ratio) * frequency_step
    nearest = calcExtrema(defocus.mean, optics, 0.0, peaks=True)
    if not len(nearest):
        raise TooFewOscillations(f"at {defocus.mean:.0f} Å defocus the CTF has no peak")
    first = int(nearest[0] / frequency_step / width)
    frequency = ring_step * np.arange(first, len(means))
    if not len(frequency):
        raise TooFewOscillations("the first peak of the CTF is beyond the spectrum")
    peaks, valleys = (calcExtrema(defocus.mean, optics, frequency[-1], peaks=which) for which in (True, False))
    if min(len(peaks), len(valleys)) < 2:
        raise TooFewOscillations(f"the spectrum has only {len(peaks)} peaks of the CTF")
    values, spacing = means[first:], (peaks[-1] - peaks[-2]) / frequency_step
    if spacing > 2:
        values = filterMirrored(values, spacing / 3)
    return Profile(frequency, values, peaks, valleys)
