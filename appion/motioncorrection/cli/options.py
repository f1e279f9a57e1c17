"""The options of motion correction, as classic's commands have them."""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
from typing import Any

from appion.base.calc.limits import AMPLITUDE_CONTRAST, BINNING, CS, DOSE, FRAMES, PHASE_SHIFT, checkValue
from appion.base.cli.options import Parser, addSwitch, constructParser, markIneffective
from appion.base.failures import ConfigurationFailure
from appion.motioncorrection.calc.internal.frames import EER_FACTORS
from appion.motioncorrection.records import MotionCorrectionOptions

#: The commands of classic without ``.py``; they differ in the program that they have in mind.
PROGRAM, PROGRAM3 = "makeDDAlignMotionCor2_UCSF", "makeDDAlignMotionCor3"

#: Options for MotionCor3 alone, which NYSBC's classic has.
MOTIONCOR3_OPTIONS = ("inskips", "cs", "ampcont", "extphase")

DESCRIPTION = (
    "Watch a Leginon session, correct the beam-induced motion of every new exposure with MotionCor2, MotionCor3 or "
    "motioncor-cpu, and store micrographs and rows as classic Appion does."
)

#: Options that decide what a result is like, and those that say where and on which exposures to work.
SHAPING = frozenset({
    "eer_sampling", "rendered_frame_size", "refimgid", "gainfile", "forceTiff", "force_cpu_flat", "alignlabel",
    "bin", "startframe", "nframe", "doseweight", "totaldose", "square", "trim", "nrw", "FmRef", "Iter", "Tol",
    "Patchrows", "Patchcols", "MaskCentrow", "MaskCentcol", "MaskSizerows", "MaskSizecols", "Bft_global",
    "Bft_local", *MOTIONCOR3_OPTIONS,
})  # fmt: skip
INDIFFERENT = frozenset({"align", "framepath", "gpuids", "stackid", "tempdir"})


def constructMotionCorrectionParser(prog: str) -> Parser:
    """Return the parser of the whole command line."""
    parser = constructParser(prog, DESCRIPTION)
    parser.shaping.update(SHAPING)
    addInputOptions(parser)
    addSumOptions(parser)
    addAlignmentOptions(parser)
    addMotionCor3Options(parser, former=not re.match(r"(?:makeDDAlign)?motioncor3", prog, re.IGNORECASE))
    addIneffectiveOptions(parser)
    return parser


def addInputOptions(parser: Parser) -> None:
    group = parser.add_argument_group("movies and references")
    group.add_argument("--framepath", metavar="DIR", help="folder of the movies (default: that of the session)")
    group.add_argument("--stackid", type=int, metavar="ID", help="only exposures with particles in this stack")
    group.add_argument("--refimgid", type=int, metavar="ID",
                       help="image whose gain, dark and bad pixels are used for all (default: each its own)")
    group.add_argument("--gainfile", default="", metavar="FILE",
                       help="gain reference in Leginon's orientation, in place of the database's")
    group.add_argument("--forceTiff", action="store_true", default=False,
                       help="read movies as TIFF whatever their name says")
    group.add_argument("--force_cpu_flat", action="store_true", default=False,
                       help="neither turn the gain reference nor mask bad pixels; only for cameras whose frames are "
                            "not turned")
    group.add_argument("--tempdir", metavar="DIR", help="folder for scratch files (default: in the run folder)")
    group.add_argument("--eer_sampling", type=int, default=1, metavar="N",
                       help="how finely EER events are placed: 1, 2 or 3 for 1, 2 or 4 times the camera's pixels")
    group.add_argument("--rendered_frame_size", type=int, default=1, metavar="FRAMES",
                       help="raw frames that are summed into one before anything else (EER)")


def addSumOptions(parser: Parser) -> None:
    group = parser.add_argument_group("sums")
    group.add_argument("--align", action="store_true", default=False, help="align the frames; required")
    group.add_argument("--alignlabel", default="a", metavar="LABEL", help="what is added to the preset's name")
    group.add_argument("--bin", type=float, default=1.0, metavar="FACTOR", help="factor by which sums are binned")
    group.add_argument("--ddstartframe", dest="startframe", type=int, default=0, metavar="FRAME",
                       help="first raw frame to use, counted from 0")
    group.add_argument("--ddnframe", dest="nframe", type=int, metavar="FRAMES",
                       help="number of raw frames to use (default: all)")
    group.add_argument("--doseweight", action="store_true", default=False, help="make a dose-weighted sum as well")
    group.add_argument("--totaldose", type=float, metavar="DOSE",
                       help="dose of the whole movie in e/Å² (default: that of the preset)")
    group.add_argument("--square", action="store_true", default=False, help="record square dimensions of the sums")
    group.add_argument("--trim", type=int, default=0, metavar="PIXELS",
                       help="record dimensions less this many unbinned pixels at each edge")


def addAlignmentOptions(parser: Parser) -> None:
    group = parser.add_argument_group("alignment")
    group.add_argument("--gpuids", default="0", metavar="ID,ID", help="GPUs to use, one exposure at a time on each")
    group.add_argument("--nrw", type=int, default=1, metavar="FRAMES", help="frames that are aligned together")
    group.add_argument("--FmRef", type=int, default=0, metavar="FRAME",
                       help="frame that the others are aligned to, counted from 1; 0: the program's choice")
    group.add_argument("--Iter", type=int, default=7, metavar="N", help="iterations of the alignment at most")
    group.add_argument("--Tol", type=float, default=0.5, metavar="PIXELS", help="change of shifts at which it ends")
    group.add_argument("--Patchrows", type=int, default=0, metavar="N",
                       help="rows of patches for local motion; 0 or 1: whole frames")
    group.add_argument("--Patchcols", type=int, default=0, metavar="N", help="columns of patches")
    group.add_argument("--MaskCentrow", type=int, default=0, metavar="ROW",
                       help="row of the centre of the area used for alignment (MotionCor2)")
    group.add_argument("--MaskCentcol", type=int, default=0, metavar="COLUMN", help="its column")
    group.add_argument("--MaskSizerows", type=float, default=1.0, metavar="FRACTION",
                       help="height of that area as a fraction of the frame")
    group.add_argument("--MaskSizecols", type=float, default=1.0, metavar="FRACTION", help="its width")
    group.add_argument("--Bft_global", type=float, default=500.0, metavar="B",
                       help="B-factor of the alignment of whole frames, Å²")
    group.add_argument("--Bft_local", type=float, default=150.0, metavar="B",
                       help="B-factor of the alignment of patches, Å²")


def addMotionCor3Options(parser: Parser, former: bool) -> None:
    """Add what NYSBC's classic passes on to MotionCor3, in both spellings.

    Args:
        former: whether the parser is that of a command for MotionCor2; what was an abbreviation there stays one.
    """
    group = parser.add_argument_group("MotionCor3")
    group.add_argument("--InSkips", "--inskips", dest="inskips", default="", metavar="TEXT,TEXT",
                       help="files whose names have one of these in them are no movies (-InSkips)")
    group.add_argument("--Cs", "--cs", dest="cs", type=float, metavar="MM",
                       help="spherical aberration; MotionCor3 then estimates the CTF of its sums, of which nothing is "
                            "kept (default: 0, it does not)")  # fmt: skip
    group.add_argument("--AmpCont", "--ampcont", dest="ampcont", type=float, metavar="FRACTION",
                       help="amplitude contrast for that")
    group.add_argument("--ExtPhase", "--extphase", dest="extphase", type=int, metavar="DEGREES",
                       help="centre of the phase shifts that are searched for then")
    if former:
        parser.younger.update(MOTIONCOR3_OPTIONS)


def addIneffectiveOptions(parser: Parser) -> None:
    """Add what classic has for other programs or for work that is not done here."""
    group = parser.add_argument_group("accepted for classic's sake, without effect")

    def add(name: str, why: str, level: int = logging.WARNING, **kwargs: Any) -> None:
        markIneffective(parser, group.add_argument(f"--{name}", help=why, **kwargs).dest, why, level)

    on: dict[str, Any] = {"action": "store_true", "default": False}
    addSwitch(group, "keepstack", "keepstack", True, "no stack of aligned frames is made",
              "no stack of aligned frames is made")
    markIneffective(parser, "keepstack", "no stack of aligned frames is made", logging.INFO)
    addSwitch(group, "clean", "clean", True, "scratch files are always removed", "scratch files are always removed")
    markIneffective(parser, "clean", "scratch files are always removed", logging.INFO)
    parser.extensions.add("clean")
    add("defergpu", "exposures are aligned here and now, nothing is deferred", **on)
    add("gpuid", "--gpuids says which GPUs are used", type=int, default=0, metavar="ID")
    add("alignoffset", "an option of another alignment program", type=int, default=2, dest="fod", metavar="N")
    add("alignccbox", "an option of another alignment program", type=int, default=128, dest="pbx", metavar="PIXELS")
    add("rawarea", "sums have the area of the movie's frames", **on)
    add("useGS", "dark references are not scaled", **on)
    add("no-cyclechannels", "references are those of the image", action="store_false", default=True,
        dest="cyclechannels")
    add("compress", "movies are left as they are", **on)
    add("override_db", "bad pixels are those of the database", **on)
    add("bad_cols", "bad pixels are those of the database", default="", metavar="COLUMNS")
    add("bad_rows", "bad pixels are those of the database", default="", metavar="ROWS")
    add("flipgain", "the camera row says how the gain reference is turned", **on)
    add("clip", "sums are not clipped", type=int, metavar="PIXELS")


#: Options with a smallest value: dest, that value, and whether it is itself allowed.
LIMITS = (
    ("bin", 1, True), ("startframe", 0, True), ("nframe", 1, True), ("nrw", 0, True), ("FmRef", 0, True),
    ("Iter", 0, True), ("Tol", 0, True), ("Patchrows", 0, True), ("Patchcols", 0, True), ("MaskCentrow", 0, True),
    ("MaskCentcol", 0, True), ("MaskSizerows", 0, True), ("MaskSizecols", 0, True), ("Bft_global", 0, False),
    ("Bft_local", 0, True), ("rendered_frame_size", 1, True), ("trim", 0, True), ("extphase", 0, True),
)

#: Options that are a quantity of the microscope or the camera.
QUANTITIES = {
    "totaldose": DOSE, "cs": CS, "ampcont": AMPLITUDE_CONTRAST, "extphase": PHASE_SHIFT, "bin": BINNING,
    "rendered_frame_size": FRAMES,
}  # fmt: skip


def constructOptions(args: argparse.Namespace, parser: Parser) -> MotionCorrectionOptions:
    """Check the options of motion correction and return them as a record.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    if not args.align:
        raise ConfigurationFailure("without --align nothing would be aligned", "add --align")
    for dest, least, included in LIMITS:
        value = getattr(args, dest)
        if value is not None and not (least < value < math.inf or (included and value == least)):
            raise ConfigurationFailure(
                f"{nameOption(parser, dest)}={value:g} is not possible",
                f"give {least} or more" if included else f"give more than {least}",
            )
    for dest, quantity in QUANTITIES.items():
        if getattr(args, dest) is not None:
            checkValue(quantity, getattr(args, dest), nameOption(parser, dest))
    if args.eer_sampling not in EER_FACTORS:
        raise ConfigurationFailure(f"--eer_sampling={args.eer_sampling} is not possible", "give 1, 2 or 3")
    if not re.fullmatch(r"[\w.+-]+", args.alignlabel) or ".mrc" in args.alignlabel:
        raise ConfigurationFailure(
            f"--alignlabel='{args.alignlabel}' cannot be part of a file name", "use letters, digits, '_', '+' and '-'"
        )
    if re.search(r"(?:^|[\s,])-", args.inskips):
        raise ConfigurationFailure(f"--InSkips={args.inskips}: what begins with '-' would be taken for an option",
                                   "give the text without it")  # fmt: skip
    if args.gainfile and not os.path.isfile(args.gainfile):
        raise ConfigurationFailure(f"--gainfile={args.gainfile} does not exist", "correct the path")
    if args.framepath and not os.path.isdir(args.framepath):
        raise ConfigurationFailure(f"--framepath={args.framepath} is no folder", "correct the path")
    return MotionCorrectionOptions(
        bin=args.bin, alignlabel=args.alignlabel, startframe=args.startframe, nframe=args.nframe,
        doseweight=args.doseweight, totaldose=args.totaldose, gpuids=readGpuIds(args.gpuids), nrw=args.nrw,
        fmref=args.FmRef, iter=args.Iter, tol=args.Tol, patchrows=args.Patchrows, patchcols=args.Patchcols,
        maskcentrow=args.MaskCentrow, maskcentcol=args.MaskCentcol, masksizerows=args.MaskSizerows,
        masksizecols=args.MaskSizecols, bft_global=args.Bft_global, bft_local=args.Bft_local,
        force_cpu_flat=args.force_cpu_flat, rendered_frame_size=args.rendered_frame_size,
        eer_sampling=args.eer_sampling, gainfile=os.path.abspath(args.gainfile) if args.gainfile else "",
        force_tiff=args.forceTiff, square=args.square, trim=args.trim, refimgid=args.refimgid,
        inskips=tuple(args.inskips.replace(",", " ").split()), cs=args.cs, ampcont=args.ampcont, extphase=args.extphase,
    )


def nameOption(parser: Parser, dest: str) -> str:
    """Return an option as it was written, or its own name."""
    return parser.given.get(dest, f"--{dest}").partition("=")[0]


def readGpuIds(text: str) -> tuple[int, ...]:
    """Return the numbers of ``--gpuids``. Raises ConfigurationFailure for anything but different whole numbers."""
    items = [item.strip() for item in text.split(",")]
    if not all(re.fullmatch(r"\d{1,4}", item) for item in items):
        raise ConfigurationFailure(f"--gpuids={text} is not a list of numbers", "give for example --gpuids=0,1")
    ids = tuple(int(item) for item in items)
    if len(set(ids)) < len(ids):
        raise ConfigurationFailure(f"--gpuids={text} names a GPU twice", "name each once")
    return ids
