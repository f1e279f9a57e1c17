"""Background and envelope of a profile, and the profile without them: 0 in the valleys of the CTF, 1 on its peaks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from appion.ctfestimation.calc.internal.extremes import calcExtremes
from appion.ctfestimation.calc.internal.lowpass import filterMirrored
from appion.ctfestimation.calc.internal.profile import Profile, TooFewOscillations
from appion.ctfestimation.calc.internal.sections import SectionFit, calcSections, fitSections
from appion.ctfestimation.calc.internal.spectrum import OUTER_RESOLUTION


@dataclass(frozen=True)
class Background:
    """The noise below a profile: what was fitted (`valleys`, logarithmic like the profile) and the fit."""

    valleys: np.ndarray
    fit: SectionFit


@dataclass(frozen=True)
class Envelope:
    """The decay of the signal: the signal itself, what was fitted to (`peaks`), and the fit; all linear."""

    signal: np.ndarray
    peaks: np.ndarray
    fit: SectionFit


@dataclass(frozen=True)
class Normalised:
    """A profile divided by its envelope and brought to 0 where it was `lowest` and 1 where `highest` more than that."""

    background: Background
    envelope: Envelope
    lowest: np.ndarray
    highest: np.ndarray
    values: np.ndarray


def calcSectionNumber(profile: Profile) -> int:
    """Return into how many sections a profile is divided: more for more oscillations and higher resolution."""
    last, samples = profile.frequency[-1], len(profile.frequency)
    number = math.ceil(9 / math.sqrt(OUTER_RESOLUTION))
    if last < 1 / OUTER_RESOLUTION:
        number = math.ceil(8 / math.sqrt(math.ceil(10 / last) / 10))
    oscillations = min(len(profile.peaks), len(profile.valleys))
    if oscillations < 2 * number:
        number = oscillations // 2 + 1
    return min(number, (samples - findNearest(profile.frequency, profile.valleys[0])) // 12)


def findNearest(frequency: np.ndarray, value: float) -> int:
    """Return the sample whose frequency is nearest to `value`."""
    return int(np.argmin(np.abs(frequency - value)))


def findSections(profile: Profile, extrema: np.ndarray) -> list[tuple[int, int]]:
    """Return the sections of a profile bounded by `extrema`; raises TooFewOscillations if there is none."""
    number = calcSectionNumber(profile)
    sections = [] if len(profile.frequency) < 4 * number + 1 else calcSections(profile.frequency, extrema, number)
    if not sections:
        raise TooFewOscillations("the profile is too short for a fit of background and envelope")
    return sections


def calcBackground(profile: Profile) -> Background:
    """Fit lines below the valleys of the profile."""
    lowest = calcExtremes(profile.values, profile.frequency, profile.valleys, below=True)
    valleys = minimum_filter1d((3 * lowest + profile.values) / 4, 3)
    sections = findSections(profile, profile.valleys)
    return Background(valleys, fitSections(profile.frequency, valleys, sections, below=True))


def calcPositive(signal: np.ndarray, tail: int) -> np.ndarray:
    """Return `signal` without values near or below 0, and constant from sample `tail` on."""
    highest = maximum_filter1d(signal, 2)
    for _ in range(5):
        if highest.min() >= 3:
            break
        highest = maximum_filter1d(highest, 2)
    positive = np.maximum(signal, max(float(highest.min()), 0.01 * float(signal.max())))
    positive[tail:] = np.exp(np.median(np.log(positive[tail:])))
    return positive


def calcEnvelope(profile: Profile, signal: np.ndarray) -> Envelope:
    """Fit lines above the peaks of the signal over the background."""
    frequency, peaks = profile.frequency, profile.peaks
    tail = max(findNearest(frequency, peaks[-2]) - 1, 0)
    positive = calcPositive(signal, tail)
    highest = maximum_filter1d((3 * calcExtremes(positive, frequency, peaks, below=False) + positive) / 4, 3)
    return Envelope(positive, highest, fitSections(frequency, highest, findSections(profile, peaks), below=False))


def normaliseProfile(profile: Profile) -> Normalised:
    """Return the profile without background and envelope; raises TooFewOscillations if they cannot be fitted."""
    background = calcBackground(profile)
    signal = np.exp(profile.values) - np.exp(background.fit.blend)
    if not signal.max() > 0:
        raise TooFewOscillations("nothing of the profile is above its background")
    envelope = calcEnvelope(profile, signal)
    values = filterMirrored(filterMirrored(signal / envelope.fit.blend, 200, high=True), 3)
    lowest = calcExtremes(values, profile.frequency, profile.valleys, below=True)
    highest = calcExtremes(values - lowest, profile.frequency, profile.peaks, below=False) + 1e-6
    return Normalised(background, envelope, lowest, highest, (values - lowest) / highest)
