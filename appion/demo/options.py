"""The options of `appion demo`."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from appion.base.cli.suggest import CommandParser
from appion.demo.movies import KINDS, changeFrames
from appion.demo.plan import FEWEST

#: What is used unless given, without --config and with it.
DEFAULTS = {"exposures": (12, 20), "every": (3.0, 12.0)}
#: Options that need --config, and the names of those that are not as they are stored.
REHEARSAL = ("appiondb", "movie", "frames", "duration", "motion", "ctf", "motion_options", "ctf_options", "gpuids",
             "patience", "by_hand", "clean")  # fmt: skip
NAMES = {"duration": "for"}
#: Options that go with --clean.
CLEANING = ("session", "yes")
UNITS = {"s": 1, "m": 60, "h": 3600}


def constructParser() -> argparse.ArgumentParser:
    """The options of `appion demo`."""
    parser = CommandParser(
        prog="appion demo",
        description="Takes simulated exposures, has motion correction and CTF estimation follow them, and compares what"
        " was stored with the truth. With --config it does so with a site's own databases, programs and cluster.",
    )
    parser.add_argument("--dir", type=Path, help="new or empty folder (default: demo); with --config a folder on a disk"
                        " that all nodes see, in which a new one is made")  # fmt: skip
    parser.add_argument("--exposures", type=int, metavar="N",
                        help=f"number of exposures, {FEWEST} or more (default: 12; with --config 20)")  # fmt: skip
    parser.add_argument("--every", "--seconds-between", dest="every", type=float, metavar="SECONDS",
                        help="from one exposure to the next (default: 3; with --config 12)")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the movies (about 7 MB each)")
    site = parser.add_argument_group("rehearsal on a site's own ground")
    site.add_argument("--config", type=Path, metavar="DIR",
                      help="folder with the site's sinedon.cfg, appion.yaml, jobqueue.yaml")  # fmt: skip
    site.add_argument("--appiondb", metavar="NAME", help="Appion database (default: `db` of [appiondata])")
    site.add_argument("--movie", choices=tuple(KINDS), help="K3 (TIFF), Falcon 4 (EER), or as without --config: small"
                      " (default)")  # fmt: skip
    site.add_argument("--frames", type=int, metavar="N", help="raw frames of a movie (default: 20, 40 or 1000)")
    site.add_argument("--for", dest="duration", metavar="TIME", help="instead of --exposures: 30m, 2h, 90s")
    site.add_argument("--motion", metavar="COMMAND", help="motion correction (default: motioncor2.py)")
    site.add_argument("--ctf", metavar="COMMAND", help="CTF estimation (default: ctffind4.py)")
    site.add_argument("--motion-options", metavar="OPTIONS", help="more of its options, as one word:"
                      " --motion-options='--Patchrows=5 --Patchcols=7'")  # fmt: skip
    site.add_argument("--ctf-options", metavar="OPTIONS", help="the same for CTF estimation")
    site.add_argument("--gpuids", metavar="ID,ID", help="GPUs of this machine (default: 0)")
    site.add_argument("--patience", metavar="TIME", help="end when nothing got done for so long (default: 1h)")
    site.add_argument("--by-hand", action="store_true", help="start no daemon: a person does, or the web pages")
    site.add_argument("--clean", action="store_true", help="say what rehearsals left; with --yes remove it")
    site.add_argument("--session", metavar="NAME", help="--clean: only this one")
    site.add_argument("--yes", action="store_true", help="--clean: remove it")
    return parser


def parseOptions(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options, defaults filled in and times in seconds; what cannot be ends the program with 2."""
    parser = constructParser()
    args = parser.parse_args(argv)
    if args.config is None:
        for dest in [*REHEARSAL, *CLEANING]:
            if getattr(args, dest) not in (None, False):
                parser.error(f"--{NAMES.get(dest, dest.replace('_', '-'))} is for a rehearsal: add --config=DIR")
    elif args.clean:
        for dest in (name for name in REHEARSAL if name != "clean"):
            if getattr(args, dest) not in (None, False):
                parser.error(f"--{NAMES.get(dest, dest.replace('_', '-'))} has no meaning with --clean")
    elif any(getattr(args, dest) for dest in CLEANING):
        parser.error("--session and --yes go with --clean")
    elif args.dir is None:
        parser.error("--dir=DIR is needed: a folder on a disk that all nodes see, in which a new one is made")
    for dest, values in DEFAULTS.items():
        if getattr(args, dest) is None:
            setattr(args, dest, values[args.config is not None])
    if not 0 <= args.every < math.inf:
        parser.error(f"--every={args.every:g}: 0 or more")
    try:
        args.patience = readTime(args.patience or "1h", "--patience")
        if args.duration is not None:
            if not args.every:
                raise ValueError("--for needs --every of more than 0")
            args.exposures = max(FEWEST, round(readTime(args.duration, "--for") / args.every))
        if args.frames is not None:
            changeFrames(KINDS[args.movie or "small"], args.frames)
    except ValueError as error:
        parser.error(str(error))
    if args.exposures < FEWEST:
        parser.error(f"--exposures={args.exposures}: {FEWEST} or more are needed; one is broken, one late")
    return args


def readTime(text: str, option: str) -> float:
    """Return the seconds of a time such as 90s, 30m or 2h.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not match or not float(match[1]):
        raise ValueError(f"{option}={text}: give a time such as 90s, 30m or 2h")
    return float(match[1]) * UNITS[match[2]]
