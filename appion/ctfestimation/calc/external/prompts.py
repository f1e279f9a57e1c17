"""The questions of CTFFIND and their answers.

Every question is answered by its text, because their order and number differ: CTFFIND 4.0 does not ask about known
astigmatism and always for the tolerated one, 5.x asks about tilt and thickness, builds in between ask some of it, and a
question about movies comes only where the file has several sections. On a terminal a question reads
``text [default] : ``, with a line break before the default where it is long; elsewhere there may be no default.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePath

from appion.base.failures import ImageFailure
from appion.base.records.program import Program
from appion.ctfestimation.records import CTFParams, ThicknessSearch

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: The end of an output that waits for an answer: text, perhaps a default, a colon, and no line break after it.
WAITING = re.compile(r"(?P<text>[^\[\n]*?)[ \t]*(?P<default>\[[^\n]*\])?[ \t]*:[ \t]*$")


@dataclass(frozen=True)
class Prompt:
    """The end of an output that may be waiting for an answer.

    Attributes:
        text: what is asked, on one line, without default and colon.
        certain: whether a default follows, as it does on terminals only; else it may be the first half of a line.
    """

    text: str
    certain: bool


#: Questions by their pattern, which has to fit the whole text, spaces and a trailing unit like "(rad)" aside, with the
#: name of the answer (see _constructValues) or the answer itself. Only units are left aside that the answers are in.
QUESTIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"input (?:image )?file ?name", "input"),
        (r"input is a movie(?: \(stack of frames\))?\??", "movie"),
        (r"number of frames to average(?: together)?", "frames"),
        (r"output diagnostic (?:image )?file ?name", "output"),
        (r"pixel size", "pixelsize"),
        (r"acceleration voltage", "voltage"),
        (r"spherical aberration", "cs"),
        (r"amplitude contrast", "contrast"),
        (r"size of (?:amplitude|power) spectrum(?: to compute)?", "box"),
        (r"minimum resolution", "resmin"),
        (r"maximum resolution", "resmax"),
        (r"minimum defocus", "defmin"),
        (r"maximum defocus", "defmax"),
        (r"defocus search step", "defstep"),
        (r"do you know what astigmatism is present\??", "no"),
        (r"slower, more exhaustive search\??", "exhaustive"),
        (r"use a restraint on astigmatism\??", "yes"),
        (r"expected \(tolerated\) astigmatism", "astigmatism"),
        (r"find additional phase shift\??", "phase"),
        (r"minimum phase shift", "phasemin"),
        (r"maximum phase shift", "phasemax"),
        (r"phase shift search step", "phasestep"),
        (r"determine sample tilt\??", "tilt"),
        (r"determine samn?ple thickness\??", "thickness"),
        (r"use brute force 1d search\??", "bruteforce"),
        (r"use 2d refinement\??", "refine"),
        (r"low resolution limit for nodes", "nodeslow"),
        (r"high resolution limit for nodes", "nodeshigh"),
        (r"use rounded square for nodes\??", "rounded"),
        (r"downweight nodes\??", "downweight"),
        (r"(?:do you want to )?set expert options\??", "no"),
        # what is asked only after another answer than ours: the program's own defaults
        (r"known astigmatism", "0.0"),
        (r"known astigmatism angle(?: \(degrees\))?", "0.0"),
        (r"weight down low resolution signal\??", "yes"),
        (r"resample micrograph if pixel size too small\??", "yes"),
        (r"target pixel size after resampling", "1.4"),
        (r"movie is dark-subtracted\??", "yes"),
        (r"movie is gain-corrected\??", "yes"),
        (r"correct movie mag\. distortion\??", "no"),
        (r"do you already know the defocus\??", "no"),
        (r"desired number of parallel threads", "1"),
        # what builds of other laboratories ask: whether they are told the tilt, which they are not
        (r"if initial tilt statistics is known\??", "no"),
        (r"do you already know the tilt[- ]geometry\??", "no"),
        (r"known tilt axis\?", "no"),
        (r"known tilt (?:axis|angle)(?: angle)?(?: \(degrees\))?", "0.0"),
    )
)


#: What CTFFIND 5 asks about the thickness if it shall be determined.
NODES = (
    "Use brute force 1D search?", "Use 2D refinement?", "Low resolution limit for nodes",
    "High resolution limit for nodes", "Use rounded square for nodes?", "Downweight nodes?",
)  # fmt: skip


def findPrompt(output: str) -> Prompt | None:
    """Return what the program may be asking, judged by its output since the last answer; None: nothing."""
    lines = ANSI.sub("", output).replace("\r", "\n").split("\n")
    match = WAITING.fullmatch(re.sub(r"[ \t]+", " ", lines[-1]))  # many blanks would take the pattern hours
    if not match:
        text = lines[-1].strip()
        return Prompt(text, False) if text.endswith((":", "?")) else None
    text = match["text"].strip()
    if not text:  # the default stands on a line of its own
        text = next((line.strip() for line in reversed(lines[:-1]) if line.strip()), "")
    return Prompt(" ".join(text.split()), match["default"] is not None) if text else None


def identifyQuestion(text: str) -> str | None:
    """Return the name of a question's answer, or None for a question that is not known."""
    plain = " ".join(text.split())
    shorter = re.sub(r"\s*\((?:rad|radians|å|a|angstroms?|kv|mm)\)$", "", plain, flags=re.IGNORECASE)
    return next((name for pattern, name in QUESTIONS if pattern.fullmatch(shorter)), None)


def findAnswer(params: CTFParams, text: str) -> str | None:
    """Return the answer to a question, or None if the question is not known.

    Raises:
        ImageFailure: see constructAnswers.
    """
    name = identifyQuestion(text)
    return None if name is None else _constructValues(params).get(name, name)


def constructAnswers(params: CTFParams) -> dict[str, str]:
    """Return the questions that the program will ask about this micrograph, in order, each with its answer.

    The texts are those of CTFFIND 4.1; of a program whose version is not 4.x the questions of 5.x are included.
    Lengths are in Å, voltage in kV, spherical aberration in mm, phase shifts in radians.

    Raises:
        ImageFailure: a name that cannot be given as an answer, because it does not fit on a line.
    """
    version = params.program.version
    newer: tuple[str, ...] = ("Determine sample tilt?", "Determine samnple thickness?")
    if not asksAboutSample(params.program):
        newer = ()
    elif params.phase is not None:
        newer = newer[1:]  # with a phase search there is no question about tilt
    if newer and params.thickness is not None:
        newer += NODES
    oldest = version.startswith("4.0")
    movie: tuple[str, ...] = ("Input is a movie (stack of frames)", "Number of frames to average together")
    if params.input.endswith(".eer"):
        movie = movie[1:]  # it cannot be anything else
    search = ("Minimum phase shift (rad)", "Maximum phase shift (rad)", "Phase shift search step")
    modes = (
        "Do you know what astigmatism is present?", "Slower, more exhaustive search?",
        "Use a restraint on astigmatism?",
    )  # fmt: skip
    texts = (
        "Input image file name",
        *(movie if params.is_movie else ()),
        "Output diagnostic image file name", "Pixel size", "Acceleration voltage", "Spherical aberration",
        "Amplitude contrast", "Size of amplitude spectrum to compute", "Minimum resolution", "Maximum resolution",
        "Minimum defocus", "Maximum defocus", "Defocus search step",
        *(() if oldest else modes),
        "Expected (tolerated) astigmatism", "Find additional phase shift?",
        *(search if params.phase else ()),
        *newer,
        *(() if oldest else ("Do you want to set expert options?",)),
    )  # fmt: skip
    return {text: findAnswer(params, text) or "" for text in texts}


def asksAboutSample(program: Program) -> bool:
    """Return whether a program asks about tilt and thickness; one of unknown version may."""
    return program.kind == "ctffind" and not program.version.startswith(("1.", "2.", "3.", "4."))


def constructNames(params: CTFParams) -> tuple[str, str]:
    """Return how input and diagnostic image are named to the program, relative to the folder it runs in."""
    return f"{params.name}{PurePath(params.input).suffix or '.mrc'}", f"{params.name}-pow.mrc"


def _constructValues(params: CTFParams) -> dict[str, str]:
    """Return the answers that depend on the micrograph, by name."""
    source, output = constructNames(params)
    if any(not sign.isprintable() for sign in source) or source != source.strip():
        raise ImageFailure(f"the name {source!r} cannot be given to the program", "rename the image")
    values = {
        "input": source,
        "movie": _formatAnswer(params.is_movie),
        "frames": str(params.frame_average),
        "output": output,
        "pixelsize": formatNumber(params.pixelsize),
        "voltage": formatNumber(params.voltage),
        "cs": formatNumber(params.cs),
        "contrast": formatNumber(params.amplitude_contrast),
        "box": str(params.fieldsize),
        "resmin": formatNumber(params.resmin),
        "resmax": formatNumber(params.resmax),
        "defmin": formatNumber(params.defmin),
        "defmax": formatNumber(params.defmax),
        "defstep": formatNumber(params.defstep),
        "exhaustive": _formatAnswer(params.exhaustive),
        "astigmatism": formatNumber(params.astigmatism),
        "phase": _formatAnswer(params.phase is not None),
        "tilt": _formatAnswer(params.tilt),
        "thickness": _formatAnswer(params.thickness is not None),
        **_constructNodes(params.thickness or ThicknessSearch()),
    }
    if params.phase is not None:
        values["phasemin"] = formatNumber(math.radians(params.phase.minimum))
        values["phasemax"] = formatNumber(math.radians(params.phase.maximum))
        values["phasestep"] = formatNumber(math.radians(params.phase.step))
    return values


def _constructNodes(search: ThicknessSearch) -> dict[str, str]:
    return {
        "bruteforce": _formatAnswer(search.brute_force),
        "refine": _formatAnswer(search.refine),
        "nodeslow": formatNumber(search.low),
        "nodeshigh": formatNumber(search.high),
        "rounded": _formatAnswer(search.rounded),
        "downweight": _formatAnswer(search.downweight),
    }


def formatNumber(value: float) -> str:
    """Return a number without exponent, with one to six digits after the point."""
    digits = f"{value:.6f}".rstrip("0")
    return digits + "0" if digits.endswith(".") else digits


def _formatAnswer(answer: bool) -> str:
    return "yes" if answer else "no"
