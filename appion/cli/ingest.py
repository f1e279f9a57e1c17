"""`appion ingest`: what CryoSPARC has found, taken by the steps' own loop, journal and store."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from appion.base.cli.command import runCommand
from appion.base.cli.ingest import BOTH, CTF, MOTION, Source, constructIngestParser
from appion.base.cli.job import Command
from appion.base.cli.options import Parser, parseArguments
from appion.base.cli.wiring import runStep
from appion.base.failures import ConfigurationFailure

#: What is put behind the name of a run of motion to name that of the CTFs of its micrographs.
SUFFIX = "-ctf"


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code, as :func:`appion.base.cli.wiring.runStep` has it."""
    parser = constructIngestParser()
    args = parseArguments(parser, argv)
    if args.check:
        from appion.cli.ingestcheck import checkIngest

        return checkIngest(constructCommand, args, list(argv))
    if args.what != BOTH or args.print_config:
        return runStep(constructCommand(MOTION if args.what == BOTH else args.what), argv)
    return runCommand(lambda: runBoth(parser, args))


def constructCommand(what: str, source: Source | None = None) -> Command[Any, Any]:
    """Return the command of a step, which reads from `source`; of the other step nothing is imported."""
    source = source or Source()
    if what == CTF:
        from appion.ctfestimation.cli.ingest import constructCTFIngest

        return constructCTFIngest(source)
    from appion.motioncorrection.cli.ingest import constructMotionIngest

    return constructMotionIngest(source)


def runBoth(parser: Parser, args: argparse.Namespace) -> int:
    """Take the motion of all there is, then the CTFs of its micrographs weighted by dose, in a second run.

    Raises:
        ConfigurationFailure: two runs cannot be made of these options.
    """
    if args.wait:
        raise ConfigurationFailure(
            "--what=both takes what there is, motion before CTFs, and follows nothing",
            "add --no-wait; to follow a session start --what=motion and --what=ctf, each with a --runname of its own",
        )
    if not args.preset or not args.runname:
        raise ConfigurationFailure("--what=both makes two runs: names and images of the second follow from the first",
                                   "give --preset and --runname")  # fmt: skip
    if args.jobid is not None:
        raise ConfigurationFailure(f"--jobid={args.jobid} is one job, and --what=both makes two", "start each alone")
    first, second = (constructWords(parser, args, what) for what in (MOTION, CTF))
    return runStep(constructCommand(MOTION), first) or runStep(constructCommand(CTF), second)


def constructWords(parser: Parser, args: argparse.Namespace, what: str) -> list[str]:
    """Return the command line of one of two runs."""
    own = {"what": f"--what={what}"}
    if what == CTF:
        own["runname"] = f"--runname={args.runname}{SUFFIX}"
        own["preset"] = f"--preset={args.preset}-{args.alignlabel}-DW"
        if args.rundir is not None:
            own["rundir"] = f"--rundir={os.path.abspath(args.rundir)}{SUFFIX}"
    return [written for dest, written in (parser.given | own).items()]
