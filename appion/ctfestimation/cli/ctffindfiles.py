"""The files that CTFFIND writes: the diagnostic image, the table of results and the curves, in its formats."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from appion.base.store.files import writeAtomically
from appion.ctfestimation.cli.ctffindquestions import Answers

if TYPE_CHECKING:
    import numpy as np

    from appion.ctfestimation.calc.internal.estimate import Estimate

COLUMNS = (
    "# Columns: #1 - micrograph number; #2 - defocus 1 [Angstroms]; #3 - defocus 2; #4 - azimuth of astigmatism; "
    "#5 - additional phase shift [radians]; #6 - cross correlation; #7 - spacing (in Angstroms) up to which CTF rings "
    "were fit successfully"
)
CURVES = (
    "# 6 lines per micrograph: #1 - spatial frequency (1/Angstroms); #2 - 1D rotational average of spectrum (assuming "
    "no astigmatism); #3 - 1D rotational average of spectrum; #4 - CTF fit; #5 - cross-correlation between spectrum "
    "and CTF fit; #6 - 2sigma of expected cross correlation of noise"
)


def writeFiles(answers: Answers, estimates: Sequence[Estimate], version: str) -> tuple[Path, Path, Path]:
    """Write the three files of some micrographs; return the paths of picture, table and curves.

    Raises:
        OSError: as the system gives it; what was there before is left alone.
    """
    picture = Path(answers.output)
    table, curves = (picture.with_name(picture.stem + end) for end in (".txt", "_avrot.txt"))
    writeAtomically(picture, formatPictures([estimate.picture for estimate in estimates], version))
    writeAtomically(table, formatTable(answers, estimates, version))
    writeAtomically(curves, formatCurves(answers, estimates, version))
    return picture, table, curves


def formatPictures(pictures: Sequence[np.ndarray], version: str) -> bytes:
    """Return a float32 MRC file of square pictures, one section each; the pixel size is 1 / box, CTFFIND's way."""
    box = len(pictures[0])
    lowest, highest = min(picture.min() for picture in pictures), max(picture.max() for picture in pictures)
    mean = sum(float(picture.mean()) for picture in pictures) / len(pictures)
    count = len(pictures)
    header = bytearray(1024)
    struct.pack_into("<10i3f3f3i3f2i", header, 0, box, box, count, 2, 0, 0, 0, box, box, count,
                     1.0, 1.0, count / box, 90.0, 90.0, 90.0, 1, 2, 3, lowest, highest, mean, 0, 0)
    struct.pack_into("<i", header, 108, 20140)
    struct.pack_into("<4s4sfi", header, 208, b"MAP ", b"\x44\x44\0\0", -1.0, 2)
    labels = (
        f"ctffind-cpu: amplitude spectra and fits {time.strftime('%Y-%m-%d %H:%M:%S')}",
        f"made by ctffind-cpu {version} of appion {version}",
    )
    for number, label in enumerate(labels):
        header[224 + 80 * number : 304 + 80 * number] = label.encode("ascii", "replace")[:80].ljust(80)
    return bytes(header) + b"".join(picture.astype("<f4").tobytes() for picture in pictures)


def formatHead(answers: Answers, count: int, version: str, further: str = "") -> list[str]:
    """Return the first four lines of both tables."""
    name = " ".join(os.fspath(answers.input).split())
    return [
        f"# Output from CTFFind-CPU version {version}, run on {time.strftime('%Y-%m-%d %H:%M:%S')}",
        f"# Input file: {name} ; Number of micrographs: {count}",
        f"# Pixel size: {answers.pixelsize:.3f} Angstroms ; acceleration voltage: {answers.voltage:.1f} keV ; "
        f"spherical aberration: {answers.cs:.2f} mm ; amplitude contrast: {answers.contrast:.2f}",
        f"# Box size: {answers.box} pixels ; min. res.: {answers.resmin:.1f} Angstroms ; max. res.: "
        f"{answers.resmax:.1f} Angstroms ; min. def.: {answers.defmin:.1f} um; max. def. {answers.defmax:.1f} um"
        f"{further}",
    ]


def formatTable(answers: Answers, estimates: Sequence[Estimate], version: str) -> str:
    """Return the table of results: a row for each micrograph."""
    lines = [*formatHead(answers, len(estimates), version), COLUMNS]
    for number, estimate in enumerate(estimates, 1):
        fit = estimate.fit
        values = (number, fit.mean + fit.half, fit.mean - fit.half, fit.angle, fit.phase, estimate.score,
                  estimate.curves.resolution)
        lines.append(" ".join(f"{value:f}" for value in values))
    return "\n".join(lines) + "\n"


def formatCurves(answers: Answers, estimates: Sequence[Estimate], version: str) -> str:
    """Return the curves: six lines for each micrograph."""
    further = f"; num. frames averaged: {answers.frames}"
    lines = [*formatHead(answers, len(estimates), version, further), CURVES]
    for estimate in estimates:
        curves = estimate.curves
        lines.append(" ".join(f"{value:f}" for value in curves.frequency))
        lines.append(" ".join(f"{value:14.5f}" for value in curves.plain))
        for values in (curves.average, curves.model, curves.correlation, curves.noise):
            lines.append(" ".join(f"{value:f}" for value in values))
    return "\n".join(lines) + "\n"
