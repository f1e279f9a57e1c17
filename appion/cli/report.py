"""`appion report`: a session on one page, to send to its user."""

from __future__ import annotations

import argparse

from appion.base.cli.screen import show
from appion.base.failures import ConfigurationFailure
from appion.base.store.files import writeAtomically
from appion.cli.export import chooseExposures, tellDatabases
from appion.export.report import constructReport
from appion.export.runs import readRuns
from appion.export.session import readExposures
from appion.export.where import parseCondition


@tellDatabases
def showReport(args: argparse.Namespace) -> int:
    """Write the report, and say where it is."""
    if not args.out.parent.is_dir() or args.out.is_dir():
        raise ConfigurationFailure(f"--out={args.out} cannot be a file", "name a file in a folder that there is")
    condition = parseCondition(args.where) if args.where else None
    runs = readRuns(args.rundirs, args.projectid)
    exposures = chooseExposures(readExposures(runs), condition)
    writeAtomically(args.out, constructReport(exposures, runs, args.where or "", args.title or ""))
    show(f"{args.out}: {len(exposures)} exposures, {args.out.stat().st_size / 1e6:.1f} MB")
    return 0
