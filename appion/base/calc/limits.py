"""What values are plausible: one table of limits with units, and a guess at the unit of what lies beyond them.

Limits are wide: whatever a microscope of today or yesterday has is let pass, only what none has is stopped. Most of
that was given in another unit; whichever of a quantity's units makes it a usual value is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appion.base.failures import ConfigurationFailure

#: What rounding may do to a limit that is given in another unit.
SLACK = 1 + 1e-9


@dataclass(frozen=True)
class Quantity:
    """One kind of value.

    Attributes:
        unit: in which the limits are; empty for a plain number.
        least, most: the limits, both possible; where the sign only tells a direction (`signed`), of the size, and
            `least` is 0.
        usual: from the smallest to the largest of the values that one would guess.
        units: other units, each with its size in `unit`, the more frequent mistakes first.
        zero: whether 0 is possible although `least` is more: there is none, or it is not known.
        gap: values between these two are taken for another unit though smaller and larger ones are possible.
        hint: what else may be the cause of a value that is too large.
    """

    unit: str
    least: float
    most: float
    usual: tuple[float, float]
    units: Mapping[str, float] = field(default_factory=dict)
    signed: bool = False
    zero: bool = False
    gap: tuple[float, float] = (0.0, 0.0)
    hint: str = ""

    def size(self, unit: str) -> float:
        """Return how large a unit is, in the quantity's own one."""
        return 1.0 if unit == self.unit else self.units[unit]

    def allows(self, value: float) -> bool:
        """Return whether a value, in the quantity's own unit, is possible."""
        size = abs(value) if self.signed else value
        if size == 0 and self.zero:
            return True
        low, high = self.gap
        return self.least / SLACK <= size <= self.most * SLACK and not low * SLACK < size < high / SLACK


#: The least microscopes are table-top ones of 5 to 25 kV, the largest of some 1000 kV.
HIGH_TENSION = Quantity("kV", 10, 1000, (60, 400), {"V": 1e-3, "MV": 1e3, "mV": 1e-6})

#: 0 or a µm with a corrector, else about a millimetre. What is a little more than 0.001 mm is a value in m.
CS = Quantity("mm", 1e-4, 10, (1, 7), {"m": 1e3, "µm": 1e-3, "nm": 1e-6, "Å": 1e-7}, zero=True, gap=(0.001, 0.007))

PIXEL_SIZE = Quantity(
    "Å", 0.05, 100, (0.25, 12), {"m": 1e10, "nm": 10, "µm": 1e4, "mm": 1e7, "pm": 1e-2},
    hint="images of low magnification (atlas, squares) have neither frames to align nor Thon rings: another --preset",
)  # fmt: skip

#: Low magnifications belong to calibrations as well; whether frames of such an image are of use, their pixels tell.
MAGNIFICATION = Quantity("", 1, 2e7, (1e4, 5e5))

#: As a microscope records it: negative for underfocus, 0 in focus, where phase plates work.
DEFOCUS = Quantity("µm", 0, 100, (0.3, 6), {"Å": 1e-4, "nm": 1e-3, "m": 1e6, "mm": 1e3}, signed=True)

#: As somebody asks to search for it, or around it: its size.
SEARCHED_DEFOCUS = Quantity("µm", 0.001, 100, (0.3, 6), DEFOCUS.units)

#: Of a whole movie; 0: unknown.
DOSE = Quantity("e/Å²", 0.1, 3000, (5, 150), {"e/m²": 1e-20, "e/nm²": 1e-2}, zero=True)

#: Of one frame; of a raw frame of EER some thousandths. 0: unknown.
FRAME_DOSE = Quantity("e/Å²", 1e-6, 1000, (0.001, 10), DOSE.units, zero=True)

#: Of a movie and of a frame; 0: not recorded.
EXPOSURE_TIME = Quantity("ms", 10, 3e5, (50, 2e4), {"s": 1e3, "µs": 1e-3, "ns": 1e-6}, zero=True)
FRAME_TIME = Quantity("ms", 1, 1e4, (10, 900), EXPOSURE_TIME.units, zero=True)
FRAMES = Quantity("", 1, 1e5, (10, 5000))

BINNING = Quantity("", 1, 64, (1, 8))
DIMENSION = Quantity("pixels", 1, 2e5, (512, 12000))

#: Of a gain reference, in quarter turns.
ROTATION = Quantity("quarter turns", 0, 3, (1, 3), {"degrees": 1 / 90}, zero=True)

#: Of the stage.
TILT = Quantity("degrees", 0, 90, (1, 80), {"rad": math.degrees(1)}, signed=True, zero=True)

AMPLITUDE_CONTRAST = Quantity("", 0, 1, (0.02, 0.4), {"%": 0.01}, zero=True)
PHASE_SHIFT = Quantity("degrees", 0, 360, (10, 180), {"rad": math.degrees(1)}, signed=True, zero=True)

#: Astigmatism that is tolerated; what is far beyond any is no restraint.
ASTIGMATISM = Quantity("µm", 1e-4, 1000, (0.01, 1), DEFOCUS.units)

#: Limits of a fit.
RESOLUTION = Quantity("Å", 0.5, 1000, (2, 60), {"nm": 10, "m": 1e10, "pm": 1e-2})


def checkValue(
    quantity: Quantity, value: Any, name: str, unit: str | None = None, holder: str = "option", remedy: str = ""
) -> float:
    """Return a value, in the unit that it is given in, that some microscope, camera or fit may have.

    Args:
        name: what has the value: a row with its number and column, or an option.
        unit: that the value is to be in; None: the quantity's own.
        holder: the word for what holds it: column, option, argument, answer.
        remedy: what to say in place of what to write there.

    Raises:
        ConfigurationFailure: it is none; says where it is, what would be possible, and which unit it seems to be in.
    """
    unit = quantity.unit if unit is None else unit
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    size = number * quantity.size(unit)
    if quantity.allows(size):
        return number
    shown = repr(value) if math.isnan(number) else f"{number:.15g}"
    fault = "is not a number" if math.isnan(number) else "is not possible"
    if quantity.gap[0] < size < quantity.gap[1]:
        fault = f"{unit} is next to nothing"
    guess = guessUnit(quantity, number, unit)
    looks = f"it looks like {guess}, " if guess else ""
    meant = number * quantity.size(guess or unit) / quantity.size(unit)
    said = [f"if {shown} {guess} is meant, write {meant:.6g} there"] if guess else []
    said += [quantity.hint] if quantity.hint and size > quantity.most else []
    remedy = remedy or "; ".join(said) or "correct it there"
    raise ConfigurationFailure(f"{name}={shown} {fault}: {looks}the {holder} wants {describeLimits(quantity, unit)}",
                               remedy)  # fmt: skip


def guessUnit(quantity: Quantity, value: float, unit: str) -> str:
    """Return the unit in which an impossible value would be a usual one, or an empty string."""
    low, high = quantity.usual
    size = abs(value) if quantity.signed else value
    others = (one for one in (quantity.unit, *quantity.units) if one != unit)
    return next((one for one in others if low / SLACK <= size * quantity.size(one) <= high * SLACK), "")


def describeLimits(quantity: Quantity, unit: str) -> str:
    """Return what is possible, in words.

    >>> describeLimits(HIGH_TENSION, "V")
    '10000 to 1000000 V'
    """
    least, most = (f"{limit / quantity.size(unit):.10g}" for limit in (quantity.least, quantity.most))
    text = f"-{most} to {most}" if quantity.signed else f"{least} to {most}"
    text = f"0 or {text}" if quantity.zero and quantity.least else text
    return f"{text} {unit}".rstrip()
