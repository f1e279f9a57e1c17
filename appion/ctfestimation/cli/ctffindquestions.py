"""CTFFIND's questions: their texts, order, defaults and limits, asked on a terminal or answered by a script.

The order and the conditions are those of CTFFIND 4.1. A script gives one answer a line and gets no second chance; on a
terminal an empty line stands for the default, and a wrong answer is asked for again.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from appion.base.calc.limits import (
    CS,
    DEFOCUS,
    HIGH_TENSION,
    PIXEL_SIZE,
    RESOLUTION,
    SEARCHED_DEFOCUS,
    Quantity,
    checkValue,
)
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.calc.internal.nyquist import checkNyquist

Value = TypeVar("Value")

WIDTH = 51
INFINITY = math.inf


class WrongAnswer(Exception):
    """An answer that cannot be used, or none at all."""

    code = 255


class ImplausibleAnswer(WrongAnswer):
    """A number that CTFFIND would take, and that no microscope has."""

    code = 2


@dataclass(frozen=True)
class Answers:
    """The answers, in CTFFIND's units: Å, kV, mm, degrees for angles and radians for phase shifts.

    Those that were not asked for are None or the default.
    """

    input: str
    is_movie: bool
    frames: int
    output: str
    pixelsize: float
    voltage: float
    cs: float
    contrast: float
    box: int
    resmin: float
    resmax: float
    defmin: float
    defmax: float
    defstep: float
    exhaustive: bool
    known_astigmatism: tuple[float, float] | None
    tolerance: float | None
    phases: tuple[float, float, float] | None
    resample: bool = True
    known_defocus: tuple[float, float, float, float] | None = None


def askQuestions(countSections: Callable[[str], tuple[int, bool]]) -> Answers:
    """Ask everything and return the answers.

    Args:
        countSections: returns how many sections a file has, and whether it can only be a movie.

    Raises:
        WrongAnswer: a script's answer cannot be used, or there are too few. Whatever countSections raises.
    """
    source = ask("Input image file name", "input.mrc", _checkFile)
    sections, must_be_movie = countSections(source)
    is_movie = must_be_movie or (sections > 1 and askYes("Input is a movie (stack of frames)"))
    frames = askInteger("Number of frames to average together", "1", 1) if is_movie else 1
    output = ask("Output diagnostic image file name", "diagnostic_output.mrc", _checkFolder)
    pixelsize = askNumber("Pixel size", "1.0", above=0, quantity=PIXEL_SIZE)
    voltage = askNumber("Acceleration voltage", "300.0", above=0, quantity=HIGH_TENSION)
    cs = askNumber("Spherical aberration", "2.70", 0, quantity=CS)
    contrast = askNumber("Amplitude contrast", "0.07", 0, 1)
    box = askInteger("Size of amplitude spectrum to compute", "512", 128)
    resmin = askNumber("Minimum resolution", "30.0", highest=50, above=0,
                       check=lambda value: checkNyquist(value, pixelsize, "Minimum resolution"))
    resmax = askNumber("Maximum resolution", "5.0", highest=resmin, above=0, quantity=RESOLUTION)
    defmin = askNumber("Minimum defocus", "5000.0", quantity=DEFOCUS)
    defmax = askNumber("Maximum defocus", "50000.0", defmin, quantity=DEFOCUS)
    checkAnswer(SEARCHED_DEFOCUS, max(abs(defmin), abs(defmax)), "Minimum and maximum defocus")
    defstep = askNumber("Defocus search step", "100.0", 1)
    is_known = askYes("Do you know what astigmatism is present?")
    exhaustive = askYes("Slower, more exhaustive search?")
    known, tolerance = None, None
    if is_known:
        known = askNumber("Known astigmatism", "0.0", 0), askNumber("Known astigmatism angle", "0.0")
    elif askYes("Use a restraint on astigmatism?"):
        tolerance = askNumber("Expected (tolerated) astigmatism", "200.0")
    phases = None
    if askYes("Find additional phase shift?"):
        lowest = askNumber("Minimum phase shift (rad)", "0.0", -3.15, 3.15)
        highest = askNumber("Maximum phase shift (rad)", "3.15", max(lowest, -3.15), 3.15)
        widest = max(highest - lowest, 0.001)
        phases = lowest, highest, askNumber("Phase shift search step", "0.5", highest=widest, above=0)
    resample, defocus = True, None
    if askYes("Do you want to set expert options?"):
        resample = askYes("Resample micrograph if pixel size too small?", "yes")
        if askYes("Do you already know the defocus?"):
            first, second = (askNumber(f"Known defocus {one}", "0.0", quantity=DEFOCUS) for one in (1, 2))
            angle = askNumber("Known astigmatism angle", "0.0")
            defocus = first, second, angle, askNumber("Known phase shift (radians)", "0.0") if phases else 0.0
        askInteger("Desired number of parallel threads", "1", 1)
    return Answers(source, is_movie, frames, output, pixelsize, voltage, cs, contrast, box, resmin, resmax, defmin,
                   defmax, defstep, exhaustive, known, tolerance, phases, resample, defocus)


def isInteractive() -> bool:
    """Return whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def ask(question: str, default: str, convert: Callable[[str], Value]) -> Value:
    """Ask a question until the answer can be converted; of a script, once.

    Raises:
        WrongAnswer: the input ended, or a script's answer is blank or cannot be converted.
    """
    while True:
        if isInteractive():
            line = f"{question} [{default}]"
            if len(line) > WIDTH:
                print(question)
                line = f"[{default}]"
            print(f"{line:<{WIDTH}}: ", end="", flush=True)
        line = sys.stdin.readline()
        answer = line.strip()
        if not line or (not answer and not isInteractive()):
            print(flush=True)
            kind = "Blank answer in scripted mode" if not isInteractive() else "No answer"
            raise WrongAnswer(f"{kind}, exiting... ({question})")
        if not isInteractive():
            print(f"{question:<{WIDTH}}: {answer}", flush=True)
        try:
            return convert(answer or default)
        except WrongAnswer as error:
            if not isInteractive():
                raise
            print(f"\n{error}\n", flush=True)


def askYes(question: str, default: str = "no") -> bool:
    """Ask a question that is answered by yes or no."""
    def convert(answer: str) -> bool:
        if answer.lower() not in ("yes", "y", "no", "n"):
            raise WrongAnswer(_complain(answer, "yes or no"))
        return answer.lower().startswith("y")

    return ask(question, default, convert)


def askNumber(question: str, default: str, lowest: float = -INFINITY, highest: float = INFINITY,
              above: float = -INFINITY, quantity: Quantity | None = None,
              check: Callable[[float], None] | None = None) -> float:
    """Ask for a number from `lowest` to `highest` and greater than `above`, that may be a value of the quantity.

    `check` raises ConfigurationFailure for a number that is no use here.
    """
    def convert(answer: str) -> float:
        try:
            value = float(answer)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in answer:
            raise WrongAnswer(_complain(answer, "a number"))
        if not (lowest <= value <= highest and value > above):
            least = f"above {above:g}" if above > lowest else f"from {lowest:g}"
            raise WrongAnswer(f"Number outside of acceptable range: {answer} ({least} to {highest:g} is accepted)")
        if quantity is not None:
            checkAnswer(quantity, value, question)
        if check is not None:
            try:
                check(value)
            except ConfigurationFailure as failure:
                raise ImplausibleAnswer(str(failure)) from None
        return value

    return ask(question, default, convert)


def checkAnswer(quantity: Quantity, value: float, question: str) -> None:
    """Raise ImplausibleAnswer for a number, in CTFFIND's units, that cannot be."""
    try:
        checkValue(quantity, value, question, "Å" if quantity.unit == "µm" else None, "answer")
    except ConfigurationFailure as failure:
        raise ImplausibleAnswer(str(failure)) from None


def askInteger(question: str, default: str, lowest: int) -> int:
    """Ask for a whole number not below `lowest`."""
    def convert(answer: str) -> int:
        try:
            value = int(answer)
        except ValueError:
            raise WrongAnswer(_complain(answer, "a whole number")) from None
        if value < lowest:
            raise WrongAnswer(f"Number outside of acceptable range: {answer} ({lowest} or more is accepted)")
        return value

    return ask(question, default, convert)


def _complain(answer: str, wanted: str) -> str:
    start = "Answer is" if isInteractive() else "Running as script, and answer is"
    return f"{start} not recognized: {answer!r} is not {wanted}"


def _checkFile(answer: str) -> str:
    if not os.path.isfile(answer):
        raise WrongAnswer(_complain(answer, "a file that exists"))
    return answer


def _checkFolder(answer: str) -> str:
    folder = os.path.dirname(answer) or "."
    if os.path.isdir(answer) or not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise WrongAnswer(f"Opening of file {answer} failed!! - Exiting.. (no folder {folder}, or not writable)")
    return answer
