"""The options about tilt and thickness of the sample, which CTFFIND 5 looks for, as ctffind5.py has them."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace

from appion.base.cli.options import Parser, markIneffective
from appion.base.records.program import Program
from appion.ctfestimation.calc.external import asksAboutSample
from appion.ctfestimation.records import CTFOptions, ThicknessSearch

#: Options that say how the thickness is looked for, by what they are recorded under.
NODE_OPTIONS = (
    "brute_force_1D", "2D_refinement", "low_res_nodes", "hi_res_nodes", "rounded_square", "downweight_nodes",
)  # fmt: skip
SAMPLE_OPTIONS = ("sample_tilt", "sample_thickness", *NODE_OPTIONS, "acerun")


def addSampleOptions(parser: Parser, former: bool) -> None:
    """Add the options of ctffind5.py.

    Args:
        former: whether the parser is that of ctffind4.py, which classic does not give them; what was an abbreviation
            there stays one, such as ``--tilt=all``.
    """
    group = parser.add_argument_group("sample (CTFFIND 5)")

    def addFlag(short: str, name: str, dest: str, text: str) -> None:
        group.add_argument(f"--{short}", f"--{name}", dest=dest, action="store_true", default=False, help=text)

    addFlag("tilt", "sample_tilt", "sample_tilt", "determine the tilt of the sample; takes about 16 times as long")
    addFlag("thickness", "sample_thickness", "sample_thickness", "determine the thickness of the sample")
    addFlag("bruteforce", "brute_force_1D", "brute_force_1D", "search for the thickness exhaustively in one dimension")
    addFlag("2D_refine", "2D_refinement", "2D_refinement", "refine the thickness in two dimensions")
    for short, name, dest, default, what in (
        ("lowres", "low_resolution_nodes", "low_res_nodes", 30.0, "low"),
        ("hires", "high_resolution_nodes", "hi_res_nodes", 3.0, "high"),
    ):
        group.add_argument(f"--{short}", f"--{name}", dest=dest, type=float, default=default, metavar="ANGSTROM",
                           help=f"limit of the fit of nodes at {what} resolution")  # fmt: skip
    addFlag("rounded", "rounded_square", "rounded_square", "take nodes for rounded squares")
    addFlag("downweight", "downweight-nodes", "downweight_nodes", "weight nodes down")
    addFlag("acerun", "run-ace-ctf", "acerun", "accepted, without effect")
    markIneffective(parser, "acerun", "the analysis that it asks for is always made", logging.INFO)
    if former:
        parser.younger.update(SAMPLE_OPTIONS)
        parser.valued["--tilt"] = "--tiltangle"


def readThickness(args: argparse.Namespace) -> ThicknessSearch | None:
    """Return how the thickness is to be looked for, or None."""
    if not args.sample_thickness:
        return None
    given = vars(args)
    return ThicknessSearch(
        brute_force=given["brute_force_1D"], refine=given["2D_refinement"], low=given["low_res_nodes"],
        high=given["hi_res_nodes"], rounded=given["rounded_square"], downweight=given["downweight_nodes"],
    )  # fmt: skip


def noteIdleNodes(args: argparse.Namespace, parser: Parser) -> None:
    """Have it logged where options about nodes have no effect; the web pages always send some of them."""
    idle = [] if args.sample_thickness else [parser.given[dest] for dest in NODE_OPTIONS if dest in parser.given]
    if idle:
        names = ", ".join(one.partition("=")[0] for one in idle)
        parser.messages.append((logging.INFO, f"no effect without --sample_thickness: {names}"))


def selectSampleOptions(
    options: CTFOptions, program: Program, tilt_allowed: bool
) -> tuple[CTFOptions, list[tuple[int, str]]]:
    """Return what of tilt and thickness this program can look for, and what to log, as (level, text).

    The web pages ask for both by default, so what is impossible costs a line, not the run.

    Args:
        tilt_allowed: the setting ctffind.tilt.
    """
    asked = [name for name, on in (("--sample_tilt", options.tilt), ("--sample_thickness", options.thickness)) if on]
    if asked and not asksAboutSample(program):
        text = f"{' and '.join(asked)}: no effect with {program.kind} {program.version}, CTFFIND 5 alone looks for it"
        return replace(options, tilt=False, thickness=None), [(logging.WARNING, text)]
    if not options.tilt:
        return options, []
    if options.phase is not None:
        text = "--sample_tilt: no effect together with --phase_plate, CTFFIND 5 looks for either"
    elif not tilt_allowed:
        text = "--sample_tilt: no effect, the setting ctffind.tilt switches it off"
    else:
        text = (
            "CTFFIND 5 looks for the tilt of the sample, which takes about 16 times as long (11 s in place of 0.7 s "
            "for 2048 x 2048 pixels); without --sample_tilt, or with the setting ctffind.tilt: false, it does not"
        )
        return options, [(logging.INFO, text)]
    return replace(options, tilt=False), [(logging.WARNING, text)]
