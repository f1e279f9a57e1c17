"""Looking at what somebody gave a function, in words that help: the name, the value, and what to give instead."""

from __future__ import annotations

import math
import os
from typing import Any

from appion.base.calc.limits import Quantity, checkValue, describeLimits
from appion.base.failures import ConfigurationFailure


def checkQuantity(name: str, value: Any, quantity: Quantity, example: float, unit: str | None = None) -> float:
    """Return a number that may be a value of this quantity.

    Args:
        name: of the argument. unit: in which it is given; None: the quantity's own. example: a value that is possible.

    Raises:
        ConfigurationFailure: it is no number, or none that is possible; says in which unit it seems to be.
    """
    shown = f"give {describeLimits(quantity, quantity.unit if unit is None else unit)}, for example {name}={example:g}"
    return checkValue(quantity, readNumber(name, value, shown), name, unit, "argument", shown)


def checkNumber(name: str, value: Any, unit: str, least: float, most: float, example: float) -> float:
    """Return a number that has to be from `least` to `most`.

    Args:
        name: of the argument. unit: in which it is given, or empty. example: a value that is possible.

    Raises:
        ConfigurationFailure: it is no number, or none that is possible.
    """
    remedy = f"give {least:g} to {most:g}{f' {unit}' if unit else ''}, for example {name}={example:g}"
    number = readNumber(name, value, remedy)
    if not least <= number <= most:
        raise ConfigurationFailure(f"{name}={number:.15g} is not possible", remedy)
    return number


def readNumber(name: str, value: Any, remedy: str) -> float:
    """Return a value that has to be a number, not a text with one; ConfigurationFailure if it is not."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ConfigurationFailure(f"{name}={value!r} is not a number", remedy)
    return number


def checkCount(name: str, value: Any, least: int, most: int, example: int) -> int:
    """Return a whole number that has to be from `least` to `most`; ConfigurationFailure if it is not."""
    number = checkNumber(name, value, "", least, most, example)
    if number != int(number):
        raise ConfigurationFailure(f"{name}={number:g} is not a whole number", f"for example {name}={example}")
    return int(number)


def checkFile(name: str, value: Any) -> str:
    """Return the absolute path of a file that has to be there; ConfigurationFailure if it is not."""
    try:
        path = os.path.abspath(os.fspath(value))
    except TypeError:
        raise ConfigurationFailure(f"{name}={value!r} is not a path", "give the path of a file") from None
    if not isinstance(path, str) or not os.path.isfile(path):
        raise ConfigurationFailure(f"{name}={value!s} is not a file that is there", "give the path of a file")
    return path


def makeFolder(name: str, value: Any) -> str:
    """Return the absolute path of a folder, which is made if need be; ConfigurationFailure if that does not work."""
    try:
        path = os.path.abspath(os.fspath(value))
        os.makedirs(path, exist_ok=True)
    except (OSError, TypeError) as error:
        raise ConfigurationFailure(
            f"{name}={value!s}: the folder cannot be made: {error}", "give a place that can be written to"
        ) from error
    return path
