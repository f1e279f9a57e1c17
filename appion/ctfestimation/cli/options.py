"""The options of CTF estimation as classic's commands have them.

Defocus is in µm on the command line, and in Å from here on.
"""

from __future__ import annotations

import argparse
import logging
import math
from typing import Any

from appion.base.calc.limits import AMPLITUDE_CONTRAST, ASTIGMATISM, RESOLUTION, SEARCHED_DEFOCUS, checkValue
from appion.base.cli.options import Parser, constructParser, markIneffective
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.calc.internal.convention import convertMicrons
from appion.ctfestimation.cli.gctffindoptions import addGctffindOptions, constructGctffindOptions
from appion.ctfestimation.cli.sampleoptions import NODE_OPTIONS, addSampleOptions, noteIdleNodes, readThickness
from appion.ctfestimation.records import CTFOptions, LocalRefinement, PhaseSearch

#: The commands without ``.py``. The first two are one, with a different program in mind.
CTFFIND, CTFFIND5, GCTF, GCTFFIND = "ctffind4", "ctffind5", "gctf", "gctffind"

DESCRIPTION = (
    "Watch a Leginon session, estimate the CTF of every new micrograph with {program}, and store rows and pictures as "
    "classic Appion does."
)

#: Defaults in which the two programs differ: resmax (Å), defstep and dast (µm).
DEFAULTS = {CTFFIND: (15.0, 0.1, 0.05), GCTF: (4.0, 0.05, 0.1)}

#: Options that decide what a result is like, of both programs, and those that say on which images to work.
SHAPING = frozenset({
    "ampcontrast", "fieldsize", "resmin", "resmax", "nominal", "defstep", "numstep", "dast", "bestdb", "ddstackid",
    "num_frame_avg", "mdef_aveN", "shift_phase", "min_phase_shift", "max_phase_shift", "phase_search_step",
    "exhaustiveSearch", "do_EPA", "do_Hres_ref", "local_refine", "raster", "local_radius", "local_boxsize",
    "local_overlap", "fastmode", "sample_tilt", "sample_thickness", *NODE_OPTIONS, "astig",
})  # fmt: skip
INDIFFERENT = frozenset({"reprocess"})


def constructCtffindParser(prog: str) -> Parser:
    """Return the parser of ctffind4.py or, by that name, ctffind5.py: it takes what either does."""
    parser = constructParser(prog, DESCRIPTION.format(program="CTFFIND 4 or 5, or ctffind-cpu"))
    addFitOptions(parser, CTFFIND)
    group = addInputOptions(parser)
    group.add_argument("--num_frame_avg", type=int, default=7, metavar="FRAMES",
                       help="frames of a movie that are averaged (with --ddstackid)")
    group = addPhaseOptions(parser)
    group.add_argument("--exhaust", "--exhaustive-search", dest="exhaustiveSearch", action="store_true", default=False,
                       help="search defocus and astigmatism slowly and exhaustively")
    addSampleOptions(parser, former=not prog.startswith(CTFFIND5))
    addIneffectiveOptions(parser)
    parser.shaping.update(SHAPING & {action.dest for action in parser.actions})
    return parser


def constructGctfParser(prog: str) -> Parser:
    """Return the parser of gctf.py."""
    parser = constructParser(prog, DESCRIPTION.format(program="Gctf"))
    addFitOptions(parser, GCTF)
    group = addInputOptions(parser)
    group.add_argument("--mdef_aveN", type=int, default=1, metavar="FRAMES",
                       help="frames of a movie that are averaged (with --ddstackid)")
    addPhaseOptions(parser)
    addGctfOptions(parser)
    addIneffectiveOptions(parser)
    parser.shaping.update(SHAPING & {action.dest for action in parser.actions})
    return parser


def constructGctffindParser(prog: str) -> Parser:
    """Return the parser of gctffind.py."""
    parser = constructParser(prog, DESCRIPTION.format(program="GCtfFind"))
    addGctffindOptions(parser)
    addIneffectiveOptions(parser)
    parser.shaping.update(SHAPING & {action.dest for action in parser.actions})
    return parser


def addFitOptions(parser: Parser, program: str) -> None:
    resmax, defstep, dast = DEFAULTS[program]
    group = parser.add_argument_group("fit")
    group.add_argument("--ampcontrast", type=float, default=0.07, metavar="FRACTION", help="amplitude contrast")
    group.add_argument("--fieldsize", type=int, default=1024, metavar="PIXELS", help="side of the amplitude spectrum")
    group.add_argument("--resmin", type=float, default=50.0, metavar="ANGSTROM",
                       help="limit of the fit at low resolution, 10 to 50 Å")
    group.add_argument("--resmax", type=float, default=resmax, metavar="ANGSTROM",
                       help="limit of the fit at high resolution, at most 15 Å")
    group.add_argument("--nominal", type=float, metavar="MICRONS",
                       help="defocus around which is searched, µm (default: that of an earlier result of the image, "
                            "else the microscope's)")
    group.add_argument("--defstep", type=float, default=defstep, metavar="MICRONS",
                       help="step of the defocus search, µm, 0.0001 to 2")
    group.add_argument("--numstep", type=int, default=25, metavar="N",
                       help="steps to each side: the search goes numstep times defstep up and down")
    group.add_argument("--dast", type=float, default=dast, metavar="MICRONS", help="astigmatism that is tolerated, µm")
    group.add_argument("--bestdb", "--best-database", dest="bestdb", action="store_true", default=False,
                       help="amplitude contrast, tolerated astigmatism and resmax by the image's best earlier result")


def addInputOptions(parser: Parser) -> Any:
    group = parser.add_argument_group("micrographs and movies")
    group.add_argument("--reprocess", type=float, metavar="CONFIDENCE",
                       help="do images again whose best confidence so far (0 to 1) is not above this, and those that "
                            "have none; leave out all others")
    group.add_argument("--ddstackid", type=int, metavar="ID",
                       help="use the movies of the images of this run of motion correction in place of micrographs")
    return group


def addPhaseOptions(parser: Parser) -> Any:
    group = parser.add_argument_group("phase plate and search")
    group.add_argument("--phaseplate", "--phase_plate", dest="shift_phase", action="store_true", default=False,
                       help="search for a phase shift as well")
    group.add_argument("--minphaseshift", "--min_phase_shift", dest="min_phase_shift", type=float, default=10.0,
                       metavar="DEGREES", help="smallest phase shift of that search")
    group.add_argument("--maxphaseshift", "--max_phase_shift", dest="max_phase_shift", type=float, default=170.0,
                       metavar="DEGREES", help="largest phase shift of that search")
    group.add_argument("--phasestep", "--phase_search_step", dest="phase_search_step", type=float, default=10.0,
                       metavar="DEGREES", help="its step")
    return group


def addGctfOptions(parser: Parser) -> None:
    group = parser.add_argument_group("Gctf")
    group.add_argument("--do_EPA", action="store_true", default=False, help="equiphase averaging")
    group.add_argument("--do_Hres_ref", action="store_true", default=False, help="refinement at high resolution")
    group.add_argument("--do_local_refine", dest="local_refine", action="store_true", default=False,
                       help="local defocus, on a raster of points")
    group.add_argument("--local_raster", dest="raster", type=int, default=200, metavar="PIXELS",
                       help="distance between these points")
    group.add_argument("--local_radius", type=int, default=1024, metavar="PIXELS", help="radius around each of them")
    group.add_argument("--local_boxsize", type=int, default=512, metavar="PIXELS", help="box around each of them")
    group.add_argument("--local_overlap", type=float, default=0.5, metavar="FRACTION", help="overlap of the boxes")
    group.add_argument("--fastmode", action="store_true", default=True,
                       help="neither confidences, resolutions nor pictures of the fit (the default)")
    group.add_argument("--slowmode", dest="fastmode", action="store_false", default=True,
                       help="with confidences, resolutions and pictures of the fit")


def addIneffectiveOptions(parser: Parser) -> None:
    group = parser.add_argument_group("accepted for classic's sake, without effect")
    group.add_argument("--uncorrected", action="store_true", default=False, help="micrographs are used as they are")
    markIneffective(parser, "uncorrected", "micrographs are used as they are")


#: Options with a smallest value: dest, that value, and whether it is itself allowed.
LIMITS = (
    ("fieldsize", 128, True), ("numstep", 1, True),
    ("num_frame_avg", 1, True), ("mdef_aveN", 1, True), ("ddstackid", 1, True), ("raster", 1, True),
    ("local_radius", 1, True), ("local_boxsize", 1, True), ("local_overlap", 0, True), ("reprocess", 0, True),
    ("low_res_nodes", 0, True), ("hi_res_nodes", 0, True), ("astig", 0, True),
)  # fmt: skip


def constructOptions(args: argparse.Namespace, parser: Parser) -> CTFOptions:
    """Check the options of CTF estimation and return them as a record.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    if hasattr(args, "resmin"):
        checkRanges(args, parser)
    for dest, least, included in LIMITS:
        value = getattr(args, dest, None)
        if value is not None and not (least < value < math.inf or (included and value == least)):
            remedy = f"give {least} or more" if included else f"give more than {least}"
            raise ConfigurationFailure(f"{nameOption(parser, dest)}={value:g} is not possible", remedy)
    checkValue(AMPLITUDE_CONTRAST, args.ampcontrast, nameOption(parser, "ampcontrast"))
    for dest in ("local_overlap", "reprocess", "astig"):
        if (getattr(args, dest, None) or 0) > 1:
            raise ConfigurationFailure(f"{nameOption(parser, dest)}={getattr(args, dest):g} is not possible",
                                       "give a number from 0 to 1")
    if hasattr(args, "astig"):
        return constructGctffindOptions(args)
    noteIdleOptions(args, parser)
    common = {name: getattr(args, name) for name in (
        "ampcontrast", "fieldsize", "resmin", "resmax", "numstep", "bestdb", "ddstackid",
    )}  # fmt: skip
    common |= {"defstep": convertMicrons(args.defstep), "dast": convertMicrons(args.dast)}
    common["nominal"] = None if args.nominal is None else args.nominal * 1e4
    phase = constructPhaseSearch(args)
    if not hasattr(args, "fastmode"):
        noteIdleNodes(args, parser)
        return CTFOptions(
            **common, phase=phase, frame_average=args.num_frame_avg, exhaustive=args.exhaustiveSearch,
            tilt=args.sample_tilt, thickness=readThickness(args),
        )  # fmt: skip
    return CTFOptions(
        **common, phase=phase, frame_average=args.mdef_aveN, epa=args.do_EPA, hires_refine=args.do_Hres_ref,
        local=constructLocalRefinement(args), analyse=not args.fastmode,
    )


def checkRanges(args: argparse.Namespace, parser: Parser) -> None:
    """Check what classic checks, in its order; what is not a number is out of every range."""
    if not args.resmin <= 50:
        raise ConfigurationFailure(f"--resmin={args.resmin:g} is not possible",
                                   "choose a higher resolution for resmin, between 10 and 50 Å")
    if args.resmin < 10:
        raise ConfigurationFailure(f"--resmin={args.resmin:g} is not possible",
                                   "choose a lower resolution for resmin, between 10 and 50 Å")
    if not args.resmax <= 15 or args.resmax >= args.resmin:
        raise ConfigurationFailure(f"--resmax={args.resmax:g} with --resmin={args.resmin:g} is not possible",
                                   "choose a higher resolution for resmax, at most 15 Å and below resmin")
    checkValue(RESOLUTION, args.resmax, "--resmax")
    if not 0.0001 <= args.defstep <= 2.0:
        raise ConfigurationFailure(f"--defstep={args.defstep:g} is not possible",
                                   "keep defstep between 0.0001 and 2 microns")
    if args.numstep > 0:
        checkValue(SEARCHED_DEFOCUS, args.defstep * args.numstep, "--numstep times --defstep", holder="search")
    checkValue(ASTIGMATISM, args.dast, nameOption(parser, "dast"))
    if args.nominal is not None:
        checkValue(SEARCHED_DEFOCUS, abs(args.nominal), nameOption(parser, "nominal"))


def constructPhaseSearch(args: argparse.Namespace) -> PhaseSearch | None:
    if not args.shift_phase:
        return None
    least, most, step = args.min_phase_shift, args.max_phase_shift, args.phase_search_step
    if not (-180 <= least < most <= 180 and 0 < step <= most - least):
        raise ConfigurationFailure(
            f"--min_phase_shift={least:g}, --max_phase_shift={most:g} and --phase_search_step={step:g} are no search",
            "give a range within -180 to 180 degrees and a step that fits into it",
        )
    return PhaseSearch(least, most, step)


def constructLocalRefinement(args: argparse.Namespace) -> LocalRefinement | None:
    if not args.local_refine:
        return None
    return LocalRefinement(args.raster, args.local_radius, args.local_boxsize, args.local_overlap)


def noteIdleOptions(args: argparse.Namespace, parser: Parser) -> None:
    """Have it logged where an option has no effect because of others."""
    if args.nominal is not None and args.bestdb:
        parser.messages.append((logging.WARNING, "--bestdb has no effect together with --nominal"))
    if not getattr(args, "local_refine", True):
        for dest in ("raster", "local_radius", "local_boxsize", "local_overlap"):
            if dest in parser.given:
                name = nameOption(parser, dest)
                parser.messages.append((logging.WARNING, f"{name} has no effect without --do_local_refine"))


def nameOption(parser: Parser, dest: str) -> str:
    """Return an option as it was written, or its own name."""
    names = (action.option_strings[-1] for action in parser.actions if action.dest == dest)
    return parser.given.get(dest, next(names)).partition("=")[0]
