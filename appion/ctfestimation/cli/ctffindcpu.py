"""ctffind-cpu: asks CTFFIND's questions and writes its files, with an estimator of its own.

Unlike CTFFIND it refuses truncated, constant and not finite images instead of making up a result. It uses one thread.

Exit codes: 0 done, 1 the image cannot be used or the files not be written, 2 an answer is a value that no microscope
has, 255 another answer or an option is wrong.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from appion.base.cli.numerics import prepareNumerics
from appion.base.cli.screen import bearWithReader, replaceUnshowable
from appion.base.cli.waiting import readOptions
from appion.base.failures import Failure
from appion.base.records.stamp import readVersion
from appion.ctfestimation.cli.ctffindquestions import Answers, WrongAnswer, askQuestions, isInteractive

if TYPE_CHECKING:
    import numpy as np

    from appion.base.retrieve.movies import MovieHeader
    from appion.ctfestimation.calc.internal.estimate import Estimate, Settings

HELP = """usage: ctffind-cpu                 on a terminal
       ctffind-cpu < answers.txt   with one answer a line

Asks for everything it needs, with the questions of CTFFIND 4.1, and writes its files.
Options: --version, --help, -j or --omp-num-threads THREADS (one thread is used, whatever is given),
--fast (always so).
Of CTFFIND's others, those for old-style input and for ready-made spectra are not supported."""

#: What is loaded before a movie or micrograph is known, where the program is kept ready.
NEEDED = (
    "appion.base.retrieve.movies", "appion.ctfestimation.calc.internal.estimate",
    "appion.ctfestimation.cli.ctffindfiles",
)  # fmt: skip


@bearWithReader
def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    argv = readOptions(argv, NEEDED)
    if argv is None:
        return 0
    replaceUnshowable()
    if argv in (["--help"], ["-h"]):
        print(HELP)
        return 0
    if argv == ["--version"]:
        print(f"ctffind-cpu version {readVersion()}")
        return 0
    try:
        checkOptions(argv)
        run()
    except WrongAnswer as error:
        print(f"\nError: {error}\n", flush=True)
        return error.code
    except (Failure, OSError, MemoryError) as error:
        text = str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
        print(f"\nError: {text}\n", flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", flush=True)
        return 130
    return 0


def checkOptions(argv: Sequence[str]) -> None:
    """Refuse options that would change what is done.

    Raises:
        WrongAnswer: for the first such option.
    """
    words = iter(argv)
    for word in words:
        found = re.fullmatch(r"(-j|--omp-num-threads(?==|$))=?(.*)", word)
        if found:
            threads = found[2] or next(words, "")
            if not threads.isdigit() or not int(threads):
                raise WrongAnswer(f"{found[1]} {threads}: give a number of threads")
        elif word != "--fast":
            raise WrongAnswer(f"option {word!r} is unknown or not supported here; see --help")


def run() -> None:
    """Ask, estimate, report and write.

    Raises:
        WrongAnswer: an answer cannot be used. Failure: the image cannot be used. OSError: a file cannot be written.
    """
    begin = time.monotonic()
    version = readVersion()
    mode = "Interactive" if isInteractive() else "Scripted"
    print("\n\n        **   Welcome to Ctffind-cpu   **\n")
    print(f"            Version : {version}\n               Mode : {mode}\n", flush=True)
    prepareNumerics()  # before they are imported
    from appion.base.retrieve import movies

    headers: list[MovieHeader] = []

    def countSections(path: str) -> tuple[int, bool]:
        headers.append(movies.readMovieHeader(path))
        return headers[0].nframes, headers[0].format == "eer"

    answers = askQuestions(countSections)
    header = headers[0]
    from appion.ctfestimation.calc.internal.estimate import estimateCTF
    from appion.ctfestimation.cli.ctffindfiles import writeFiles

    settings = constructSettings(answers)
    if settings.box != answers.box:
        print(f"\nThe size of the spectrum is made even: {settings.box}.")
    estimates = []
    for number, images in enumerate(iterateMicrographs(answers, header), 1):
        try:
            estimate = estimateCTF(images, settings)
        except Failure as failure:
            section = f", section {number}" if header.nframes > 1 and not answers.is_movie else ""
            raise type(failure)(f"{answers.input}{section}: {failure.reason}", failure.remedy) from failure
        estimates.append(estimate)
        reportEstimate(estimate, answers, header.nframes if not answers.is_movie else 1, number)
    names = writeFiles(answers, estimates, version)
    print(f"\nSummary of results                          : {names[1]}")
    print(f"Diagnostic images                           : {names[0]}")
    print(f"Detailed results, including 1D fit profiles : {names[2]}")
    print(f"\nTotal time: {time.monotonic() - begin:.2f} seconds\n", flush=True)


def iterateMicrographs(answers: Answers, header: MovieHeader) -> Iterator[Iterator[np.ndarray]]:
    """Yield the images of each micrograph: the averages of a movie's frames, or one section."""
    from appion.base.retrieve import movies

    if not answers.is_movie:
        for section in range(header.nframes):
            yield movies.readFrames(header, [[section]])
        return
    groups = [range(first, min(first + answers.frames, header.nframes))
              for first in range(0, header.nframes, answers.frames)]
    yield movies.readFrames(header, groups)


def constructSettings(answers: Answers) -> Settings:
    """Return what is to be fitted."""
    from appion.ctfestimation.calc.internal.estimate import Settings, constructFit
    from appion.ctfestimation.calc.internal.grid import PHASE_STEP
    from appion.ctfestimation.calc.internal.lens import Search, constructLens

    lens = constructLens(answers.voltage, answers.cs, answers.contrast)
    phases: tuple[float, ...] = (0.0,)
    if answers.phases:
        low, high, step = answers.phases
        count = max(1, round((high - low) / max(min(step, PHASE_STEP), 0.05)))
        phases = tuple(low + (high - low) * index / count for index in range(count + 1)) if high > low else (low,)
    known = None
    if answers.known_astigmatism:
        size, angle = answers.known_astigmatism
        fit = constructFit(size, 0.0, angle)
        known = fit.cosine, fit.sine
    tolerance = answers.tolerance if answers.tolerance and answers.tolerance > 0 else None
    search = Search(answers.defmin, answers.defmax, answers.defstep, tolerance, known, phases, answers.exhaustive)
    fixed = constructFit(*answers.known_defocus) if answers.known_defocus else None
    box = answers.box + answers.box % 2
    return Settings(answers.pixelsize, lens, box, answers.resmin, answers.resmax, search, fixed, answers.resample)


def reportEstimate(estimate: Estimate, answers: Answers, count: int, number: int) -> None:
    """Print the result of a micrograph in CTFFIND's words."""
    start, fit, curves = estimate.start, estimate.fit, estimate.curves
    if count > 1:
        print(f"\nMicrograph {number} of {count}")
    print("\n      DFMID1      DFMID2      ANGAST          CC\n")
    first = start.mean + start.half, start.mean - start.half, start.angle
    print("".join(f"{value:12.2f}" for value in first) + f"{estimate.start_score:12.5f}")
    print(f"\nEstimated defocus values        : {fit.mean + fit.half:.2f} , {fit.mean - fit.half:.2f} Angstroms")
    print(f"Estimated azimuth of astigmatism: {fit.angle:.2f} degrees")
    if answers.phases:
        pi = 3.141592653589793
        print(f"Additional phase shift          : {fit.phase * 180 / pi:.3f} degrees ({fit.phase:.3f} radians) "
              f"({fit.phase / pi:.3f} PIf)")
    print(f"Score                           : {estimate.score:.5f}")
    print(f"Pixel size for fitting          : {estimate.pixelsize:.3f} Angstroms")
    print(f"Thon rings with good fit up to  : {curves.resolution:.1f} Angstroms")
    if curves.aliasing is None:
        print("Did not detect CTF aliasing")
        return
    print(f"CTF aliasing apparent from      : {curves.aliasing:.1f} Angstroms")
    if curves.aliasing > answers.resmax:
        print("Warning: CTF aliasing occurred within your CTF fitting range. Consider computing a larger spectrum "
              f"(current size = {answers.box}).")


if __name__ == "__main__":
    sys.exit(main())
