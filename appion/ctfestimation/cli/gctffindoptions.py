"""The options of gctffind.py: fewer than those of the others, as GCtfFind chooses its limits itself."""

from __future__ import annotations

import argparse

from appion.base.cli.options import Parser
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.records import CTFOptions, PhaseSearch


def addGctffindOptions(parser: Parser) -> None:
    group = parser.add_argument_group("fit")
    group.add_argument("--ampcontrast", type=float, default=0.07, metavar="FRACTION", help="amplitude contrast")
    group.add_argument("--fieldsize", type=int, default=1024, metavar="PIXELS", help="side of the amplitude spectrum")
    group.add_argument("--astig", type=float, default=0.05, metavar="FRACTION",
                       help="largest astigmatism that is looked for, as a fraction of the defocus, 0 to 1")
    group.add_argument("--bestdb", "--best-database", dest="bestdb", action="store_true", default=False,
                       help="amplitude contrast by the image's best earlier result")
    group.add_argument("--reprocess", type=float, metavar="CONFIDENCE",
                       help="do images again whose best confidence so far (0 to 1) is not above this, and those that "
                            "have none; leave out all others")
    group = parser.add_argument_group("phase plate and search")
    group.add_argument("--phaseplate", "--phase_plate", dest="shift_phase", action="store_true", default=False,
                       help="search for a phase shift as well")
    group.add_argument("--minphaseshift", "--min_phase_shift", dest="min_phase_shift", type=float, default=10.0,
                       metavar="DEGREES", help="smallest phase shift to search for")
    group.add_argument("--maxphaseshift", "--max_phase_shift", dest="max_phase_shift", type=float, default=170.0,
                       metavar="DEGREES", help="largest phase shift of that search")


def constructGctffindOptions(args: argparse.Namespace) -> CTFOptions:
    """Return the record of the options, whose limits have been checked.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    phase = None
    if args.shift_phase:
        least, most = args.min_phase_shift, args.max_phase_shift
        if not 0 <= least < most <= 180:
            raise ConfigurationFailure(
                f"--min_phase_shift={least:g} and --max_phase_shift={most:g} are no search",
                "give a range within 0 to 180 degrees",
            )
        phase = PhaseSearch(least, most, 0.0)
    return CTFOptions(
        ampcontrast=args.ampcontrast, fieldsize=args.fieldsize, astig=args.astig, bestdb=args.bestdb, phase=phase,
    )  # fmt: skip
