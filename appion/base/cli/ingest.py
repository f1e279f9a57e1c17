"""`appion ingest`: what both steps share in taking CryoSPARC's results: options, the folder, what is not matched."""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from appion.base.calc.limits import BINNING, checkValue
from appion.base.cli.options import Parser, constructParser
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.records.program import Program
from appion.base.retrieve.cryosparc.exposures import findReader
from appion.base.retrieve.cryosparc.index import Index, Match, findUnclaimed
from appion.base.step import Candidate
from appion.base.store.files import writeAtomically

log = logging.getLogger(__name__)

#: Under which runs, scripts and options are recorded; what the user types.
RECORDED, COMMAND = "appion-ingest", "appion ingest"

#: What may be taken.
MOTION, CTF, BOTH = "motion", "ctf", "both"

#: The kind of program that results of CryoSPARC are noted with.
KIND = "cryosparc"

#: The list in the run folder of what is not matched.
UNMATCHED = "cryosparc-unmatched.txt"

DESCRIPTION = (
    "Take the results of a CryoSPARC job or Live session: micrographs and motion, or CTFs, of a Leginon session's "
    "exposures, and store them as those of a program."
)

#: Options that decide what a result is like.
SHAPING = frozenset({"cryosparc", "alignlabel", "bin", "as_stored"})


def constructIngestParser(_name: str = "") -> Parser:
    """Return the parser of the whole command line."""
    parser = constructParser(COMMAND, DESCRIPTION)
    group = parser.add_argument_group("CryoSPARC")
    group.add_argument("--cryosparc", metavar="DIR", type=os.path.abspath,
                       help="folder of a job (J…) or a Live session (S…), inside the folder of its project")
    group.add_argument("--what", choices=(MOTION, CTF, BOTH), default=BOTH,
                       help="what is taken; both: first motion, then the CTFs of its micrographs, in a run of its own")
    group.add_argument("--check", action="store_true", default=False,
                       help="say what would be matched by which rule, try the first ten exposures, store nothing")
    group.add_argument("--framepath", metavar="DIR", help="folder of the movies (default: that of the session)")
    group = parser.add_argument_group("micrographs")
    group.add_argument("--alignlabel", default="a", metavar="LABEL", help="what is added to the preset's name")
    group.add_argument("--bin", type=float, default=1.0, metavar="FACTOR",
                       help="by which the pixels of CryoSPARC's micrographs are larger than those of Leginon's images")
    group.add_argument("--as-stored", dest="as_stored", action="store_true", default=False,
                       help="do not turn rows upside down, which CryoSPARC's need as a rule")
    parser.shaping.update(SHAPING)
    parser.extensions.add("check")
    return parser


def checkIngestOptions(args: argparse.Namespace) -> None:
    """Check the options of both steps.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    if not args.cryosparc:
        raise ConfigurationFailure("no folder of CryoSPARC is given", "give --cryosparc=DIR")
    if not os.path.isdir(args.cryosparc):
        raise ConfigurationFailure(f"--cryosparc={args.cryosparc} is no folder", "correct the path")
    if not args.bin >= 1:
        raise ConfigurationFailure(f"--bin={args.bin:g} is not possible", "give 1 or more")
    checkValue(BINNING, args.bin, "--bin")
    if not re.fullmatch(r"[\w.+-]+", args.alignlabel) or ".mrc" in args.alignlabel:
        raise ConfigurationFailure(
            f"--alignlabel='{args.alignlabel}' cannot be part of a file name", "use letters, digits, '_', '+' and '-'"
        )
    if args.framepath and not os.path.isdir(args.framepath):
        raise ConfigurationFailure(f"--framepath={args.framepath} is no folder", "correct the path")


def constructProgram(index: Index) -> Program:
    """Return what stands for the program: CryoSPARC's folder, and the version of CryoSPARC if a job tells it."""
    return Program(KIND, index.folder, index.content.version)


class Source:
    """CryoSPARC's folder while a run takes results of it. The daemon alone has one.

    Attributes:
        missing: why images were not matched when they were last looked at, by name.
        framepath: folder of the movies in place of the session's, or empty.
    """

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self.framepath = ""
        self._index: Index | None = None
        self._rundir, self._written = "", ""

    @property
    def index(self) -> Index:
        """The folder, which is open."""
        if self._index is None:
            raise ConfigurationFailure("no folder of CryoSPARC is given", "give --cryosparc=DIR")
        return self._index

    def open(self, folder: str, rundir: str) -> Index:
        """Read a folder for a run, and return it; what is not whole yet is read when it is.

        Raises:
            ConfigurationFailure: it is no folder of CryoSPARC's. InfrastructureFailure: the disk does not answer.
        """
        findReader(folder)
        self._index, self._rundir = Index(folder), rundir
        index = self._index
        index.refresh(force=True)
        if index.trouble is not None:
            log.warning("%s", index.trouble)
        log.info("%d exposures in %s", len(index.content.exposures), index.folder)
        return index

    def find(self, name: str, look: Callable[[Index], Match]) -> Match:
        """Return what `look` finds for an image of this name, and note why it finds nothing.

        Raises:
            NotReady, ImageFailure: there is nothing to be taken, or nothing yet.
        """
        self.index.refresh()
        try:
            found = look(self.index)
        except Failure as failure:
            self.missing[name] = failure.reason
            raise
        self.missing.pop(name, None)
        return found

    def listUnmatched(self) -> list[str]:
        """Return a line for each exposure of the folder that is no image, and for each image without an exposure."""
        exposures = findUnclaimed(self.index, self.index.images)
        lines = [f"exposure {one.uid} {one.movie.name or one.micrograph.name}: {why}" for one, why in exposures]
        return lines + [f"image {name}: {why}" for name, why in sorted(self.missing.items())]

    def saveUnmatched(self) -> None:
        """Write the list of what is not matched into the run folder, if that is there and the list has changed."""
        text = "".join(f"{line}\n" for line in self.listUnmatched())
        if text != self._written and os.path.isdir(self._rundir):
            writeAtomically(Path(self._rundir) / UNMATCHED, text)
            self._written = text

    def reportUnmatched(self) -> None:
        """Say at the end of a run what was not matched, and write the list of it."""
        self.saveUnmatched()
        for line in self.describeUnmatched():
            log.warning("%s", line)

    def describeUnmatched(self) -> tuple[str, ...]:
        """Return a warning of what is not matched, or nothing."""
        lines = self.listUnmatched()
        return (f"{len(lines)} not matched, each with the reason in {UNMATCHED}: {lines[0]}",) if lines else ()


def noteCandidates(
    retrieve: Callable[[int], Iterable[Candidate]],
    source: Source,
    nameImages: Callable[[Iterable[Candidate]], Iterable[tuple[int, str]]],
) -> Callable[[int], Iterable[Candidate]]:
    """Return `retrieveCandidates` of a step that also keeps the list of what is not matched up to date.

    Args:
        nameImages: ids and names, of the images and of the exposures that they were made from.
    """

    def retrieveCandidates(after_id: int) -> Iterable[Candidate]:
        candidates = retrieve(after_id)
        source.index.noteImages(nameImages(candidates))
        source.index.refresh()
        source.saveUnmatched()
        return candidates

    return retrieveCandidates
