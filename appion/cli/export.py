"""`appion export`: results of a session to take along."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from functools import wraps

import sinedon
from appion.base.cli.screen import show
from appion.base.failures import ConfigurationFailure
from appion.base.records.series import IMAGE
from appion.cli.sessionoptions import CSV, PARQUET
from appion.export.cryosparcfiles import exportCryosparc
from appion.export.micrographs import LeftOut, requireExposures
from appion.export.optics import LINK
from appion.export.place import openPlace
from appion.export.runs import readRuns
from appion.export.session import Exposure, collectColumns, readExposures
from appion.export.starfiles import StarOptions, exportStar
from appion.export.tables import exportCsv, exportParquet
from appion.export.where import Condition, parseCondition


def tellDatabases(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Decorate a sub-command so that what is wrong with databases is told as a failure."""

    @wraps(run)
    def tell(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except sinedon.errors.SinedonError as error:
            raise ConfigurationFailure(str(error)) from error
        except Exception as error:
            if refusal := sinedon.findRefusal(error):
                raise ConfigurationFailure(str(refusal)) from error
            if sinedon.isDatabaseAway(error):
                raise ConfigurationFailure(f"the database does not answer: {error}", "try again later") from error
            raise
        finally:
            sinedon.closeConnections()

    return tell


@tellDatabases
def showExport(args: argparse.Namespace) -> int:
    """Write what is asked for, and say what was written and what was not."""
    if not (args.star or args.cryosparc or args.csv or args.parquet):
        raise ConfigurationFailure("nothing is asked for", "give --star, --cryosparc, --csv or --parquet")
    if args.cryosparc and args.orientation == "movie":
        raise ConfigurationFailure("--orientation=movie is for RELION's polishing: --cryosparc takes no such copies",
                                   "make two exports")  # fmt: skip
    if args.ampcontrast is not None and not 0 <= args.ampcontrast <= 1:
        raise ConfigurationFailure(f"--ampcontrast={args.ampcontrast:g} is no fraction", "give 0 to 1, such as 0.1")
    distance = LINK if args.link is None else args.link
    if not 0 < distance < math.inf:
        raise ConfigurationFailure(f"--link={distance:g} is no distance", "give more than 0 µm")
    condition = parseCondition(args.where) if args.where else None
    framepath = str(args.framepath.absolute()) if args.framepath else ""
    exposures = readExposures(readRuns(args.rundirs, args.projectid), framepath)
    chosen = chooseExposures(exposures, condition)
    place = openPlace(args.out, args.project, args.copy)
    show(f"{len(chosen)} of {len(exposures)} exposures" + (f" where {args.where}" if args.where else ""))
    if args.csv:
        exportCsv(chosen, place.folder / CSV)
        show(f"  {place.folder / CSV}")
    if args.parquet:
        exportParquet(chosen, place.folder / PARQUET)
        show(f"  {place.folder / PARQUET}")
    if args.cryosparc:
        tables = exportCryosparc(chosen, place, args.ampcontrast)
        show(*(f"  {path}" for path in tables.files))
        show(f"  {tables.micrographs} micrographs, {tables.fitted} with a CTF")
        show(*(f"  left out: {line}" for line in tables.left_out))
    if args.star:
        by_shift = distance if args.optics_by == "imageshift" else None
        done = exportStar(chosen, place, StarOptions(by_shift, args.orientation == "movie", args.ampcontrast))
        show(*(f"  {path}" for path in done.files))
        show(f"  {done.corrected} micrographs, {done.fitted} with a CTF, {done.motions} with motion for polishing; "
             f"optics groups: {done.groups}")  # fmt: skip
        show(*(f"  left out: {line}" for line in done.left_out))
    return 0


def chooseExposures(exposures: Sequence[Exposure], condition: Condition | None) -> list[Exposure]:
    """Return the exposures that fulfil a condition.

    Raises:
        ConfigurationFailure: there is none, or none has a column that the condition names.
    """
    requireExposures(exposures, LeftOut(), "the runs have no results in the database")
    if condition is None:
        return list(exposures)
    known = collectColumns(exposures)
    where = f"--where={condition.text!r}"
    for name in sorted(condition.columns - known - {IMAGE}):
        remedy = f"give the run folder that tells it; there are {', '.join(sorted(known))}"
        raise ConfigurationFailure(f"{where}: no exposure has {name}", remedy)
    chosen = [one for one in exposures if condition.holds(one.line)]
    if not chosen:
        raise ConfigurationFailure(f"none of {len(exposures)} exposures fulfils {where}", "ask for less")
    return chosen
