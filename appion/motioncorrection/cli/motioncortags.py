"""MotionCor2's command line: the tags, their values, what is done with them here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from appion.base.calc.limits import (
    AMPLITUDE_CONTRAST,
    BINNING,
    CS,
    FRAME_DOSE,
    HIGH_TENSION,
    PHASE_SHIFT,
    PIXEL_SIZE,
    ROTATION,
    TILT,
    checkValue,
)
from appion.base.failures import ConfigurationFailure


@dataclass(frozen=True)
class Tag:
    """One tag: its type, its default values (as many as it takes at most), whether it has an effect here."""

    name: str
    type: type
    default: tuple = ()
    help: str = ""

    @property
    def used(self) -> bool:
        return bool(self.help)


#: Tags in the order in which they are echoed. A tag without a help text is accepted and has no effect.
TAGS = (
    Tag("InMrc", str, ("",), "movie, MRC (modes 0, 1, 2, 6, 12, 101)"),
    Tag("InTiff", str, ("",), "movie, TIFF"),
    Tag("InEer", str, ("",), "movie, EER"),
    Tag("InSuffix", str, ("",)),
    Tag("OutMrc", str, ("",), "plain sum; _DW and _DWS go before its .mrc"),
    Tag("FmIntFile", str, ("",), "text file of: raw frames, how many are summed to one, e/Å² per raw frame"),
    Tag("ArcDir", str, ("",)),
    Tag("FullSum", str, ("",)),
    Tag("Gain", str, ("",), "gain reference, MRC or TIFF: frames are multiplied by it"),
    Tag("Dark", str, ("",), "dark reference, MRC: subtracted before the gain"),
    Tag("DefectFile", str, ("",), "text file of defective blocks: x y width height, pixels of the movie as stored"),
    Tag("DefectMap", str, ("",), "MRC as large as a frame, not 0 where a pixel is defective"),
    Tag("InAln", str, ("",)),
    Tag("OutAln", str, ("",)),
    Tag("TmpFile", str, ("",)),
    Tag("LogDir", str, ("",), "folder of the tables of shifts: MOVIE-Full.log, or MOVIE-Patch-Full.log and two more"),
    Tag("Serial", int, (0,)),
    Tag("EerSampling", int, (1,), "1, 2 or 3: EER frames 1, 2 or 4 times finer than the camera"),
    Tag("Patch", int, (0, 0, 0), "columns and rows as fine as which local motion is found, 2 or more; any overlap"),
    Tag("Iter", int, (15,), "at most so many rounds of fine alignment"),
    Tag("Tol", float, (0.1,), "rounds end when no frame moves by more, pixels"),
    Tag("Bft", float, (500.0, 100.0), "B-factor of the alignment, pixels² (the second has no effect)"),
    Tag("PhaseOnly", int, (0,)),
    Tag("StackZ", int, (0,)),
    Tag("FtBin", float, (1.0,), "sums are made smaller by this factor, 1 or more"),
    Tag("InitDose", float, (0.0,), "dose before the first frame, e/Å²"),
    Tag("FmDose", float, (0.0,), "dose per raw frame, e/Å²; the FmIntFile's goes before it"),
    Tag("PixSize", float, (0.0,), "pixel size of the frames, Å"),
    Tag("kV", float, (300.0,), "high tension, kV"),
    Tag("Cs", float, (0.0,)),
    Tag("AmpCont", float, (0.07,)),
    Tag("ExtPhase", float, (0.0,)),
    Tag("Throw", int, (0,), "leave out so many (rendered) frames at the start"),
    Tag("Trunc", int, (0,), "leave out so many (rendered) frames at the end"),
    Tag("SumRange", float, (3.0, 25.0), "if given: a second weighted sum, _DWS, of frames with this dose, e/Å²"),
    Tag("SplitSum", int, (0,)),
    Tag("LeaveOutOdd", int, (0,), "1: leave out frames that are constant, no numbers, random, much brighter or darker"),
    Tag("Group", int, (1, 4), "align sums of so many frames, then interpolate (the second has no effect)"),
    Tag("FmRef", int, (-1,), "number (from 1, in the movie) of the frame whose shift is 0; else the first one kept"),
    Tag("OutStack", int, (0, 1)),
    Tag("RotGain", int, (0,), "turn gain and dark by so many quarter turns: numpy.rot90(gain, -k)"),
    Tag("FlipGain", int, (0,), "then flip them: 1 upside down, 2 left-right"),
    Tag("InvGain", int, (0,), "1: divide by the gain reference instead"),
    Tag("Align", int, (1,), "0: add the frames as they are"),
    Tag("Tilt", float, (0.0, 0.0)),
    Tag("Mag", float, (1.0, 1.0, 0.0)),
    Tag("InFmMotion", int, (0,)),
    Tag("Crop", int, (0, 0)),
    Tag("Gpu", int, (0,), "accepted: everything runs on the CPU"),
    Tag("UseGpus", int, (1,)),
    Tag("GpuMemUsage", float, (0.5,)),
    Tag("OutStar", int, (0,)),
    Tag("TiffOrder", int, (1,)),
    Tag("CorrInterp", int, (0,)),
    Tag("MaskCent", float, (0.0, 0.0)),
    Tag("MaskSize", float, (1.0, 1.0)),
    Tag("Threads", int, (0,), "threads; 0: OMP_NUM_THREADS, else as many as there are processors to use"),
)
BYNAME = {tag.name.lower(): tag for tag in TAGS}
#: Tags that change the result where they are not understood: refused rather than ignored.
REFUSED = ("Serial", "Mag", "Crop", "InAln", "FullSum")
#: Tags that are a quantity of the microscope or the camera. EER frames may be sampled 4 times finer and binned again.
QUANTITIES = {
    "PixSize": PIXEL_SIZE, "kV": HIGH_TENSION, "FmDose": FRAME_DOSE, "InitDose": FRAME_DOSE, "RotGain": ROTATION,
    "FtBin": replace(BINNING, most=4 * BINNING.most), "Cs": CS, "AmpCont": AMPLITUDE_CONTRAST, "ExtPhase": PHASE_SHIFT,
    "Tilt": TILT,
}  # fmt: skip
TAGPATTERN = re.compile(r"-[A-Za-z]")


@dataclass(frozen=True)
class CommandLine:
    """Values by tag name, the names that were given, and lines to be shown."""

    values: dict[str, tuple]
    given: frozenset[str]
    warnings: tuple[str, ...]

    def get(self, name: str):
        """Return the first value of a tag."""
        return self.values[name][0]


def parseCommandLine(argv: Sequence[str]) -> CommandLine:
    """Parse MotionCor2's tags: any case, each followed by its values; of a repeated tag the first counts.

    Raises:
        ConfigurationFailure: a value is missing, no number or none that can be; a tag that would change the result is
            not supported.
    """
    values: dict[str, tuple] = {tag.name: tag.default for tag in TAGS}
    given: set[str] = set()
    warnings: list[str] = []
    for word, words in _splitTags(argv, warnings):
        tag = BYNAME.get(word[1:].lower())
        if tag is None:
            warnings.append(f"Warning: unknown tag {word} and its values {words} are left out of account.")
        elif tag.name in given:
            warnings.append(f"Warning: {word} is given more than once, the first counts.")
        else:
            given.add(tag.name)
            values[tag.name] = _convertValues(tag, words)
            _checkSupport(tag, values[tag.name], warnings)
    return CommandLine(values, frozenset(given), tuple(warnings))


def _splitTags(argv: Sequence[str], warnings: list[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for word in argv:
        if TAGPATTERN.match(word):
            found.append((word, []))
        elif found:
            found[-1][1].append(word)
        else:
            warnings.append(f"Warning: {word!r} follows no tag and is left out of account.")
    return found


def _convertValues(tag: Tag, words: list[str]) -> tuple:
    if tag.type is str:
        if len(words) > 1:
            raise ConfigurationFailure(f"-{tag.name} takes one value, got {words}", "quote names with blanks")
        return tuple(words) or ("",)
    words = [part for word in words for part in word.replace(",", " ").split()]
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        raise ConfigurationFailure(f"-{tag.name} {' '.join(words)}: not a number") from None
    for number in numbers if tag.name in QUANTITIES else ():
        checkValue(QUANTITIES[tag.name], number, f"-{tag.name}", holder="tag")
    if not numbers or not all(abs(number) < 1e9 for number in numbers):
        raise ConfigurationFailure(f"-{tag.name} {' '.join(words)}: a finite number is missing")
    return (*map(tag.type, numbers), *tag.default[len(numbers) :])


def _checkSupport(tag: Tag, values: tuple, warnings: list[str]) -> None:
    if tag.used or values[: len(tag.default)] == tag.default:
        return
    text = f"-{tag.name} {' '.join(map(str, values))}"
    if tag.name in REFUSED:
        raise ConfigurationFailure(f"{text} is not supported by motioncor-cpu", "leave it out")
    warnings.append(f"Warning: {text} has no effect in motioncor-cpu.")


def formatValues(command: CommandLine) -> str:
    """Return all tags with their values as MotionCor2 shows them, one a line."""
    lines = []
    for tag in TAGS:
        numbers = command.values[tag.name]
        shown = "  ".join(f"{number:.2f}" if tag.type is float and tag.name != "kV" else f"{number:g}"
                          for number in numbers) if tag.type is not str else numbers[0]
        lines.append(f"-{tag.name:<15s} {shown}")
    return "\n".join(lines)


def formatHelp() -> str:
    """Return the text of --help."""
    lines = ["Usage: motioncor-cpu -InMrc|-InTiff|-InEer MOVIE -OutMrc SUM.mrc [tags]", "",
             "MotionCor2's tags (in any case; of a repeated one the first counts), on the CPU.", ""]
    for tag in TAGS:
        if tag.used:
            default = " ".join(f"{value}" for value in tag.default)
            lines.append(f"  -{tag.name:<12s} {tag.help}" + (f" [{default}]" if default else ""))
    idle = " ".join(f"-{tag.name}" for tag in TAGS if not tag.used)
    return "\n".join([*lines, "", f"Accepted without effect (or refused where it would matter): {idle}",
                      "--version, --help"])
