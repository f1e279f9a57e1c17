"""`appion doctor`: what is well and what is to be done before a run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from appion.base.cli.screen import show
from appion.base.config import checkSettings, describeSettings
from appion.base.failures import ConfigurationFailure
from appion.base.settings import files as sitefiles
from appion.base.settings.files import checkFiles
from appion.doctor.access import checkAccess, checkConfigFiles
from appion.doctor.alarms import checkAlarms
from appion.doctor.database import checkDatabases
from appion.doctor.finding import TODO, WELL, Finding, runCheck
from appion.doctor.folder import checkFolder, checkRundir
from appion.doctor.program import checkPrograms
from appion.doctor.size import describeSize
from appion.doctor.slurm import checkSlurm, nameScheduler

import dask.config  # isort: skip  # after appion.base.config, which bears with broken files


def showDoctor(args: argparse.Namespace) -> int:
    """Print what was found; exit code 0 all is well, 1 there is something to do."""
    if args.size:
        show(*describeSize(args.rate, args.seconds, args.rundir))
        return 0
    if args.config is not None:
        useConfig(args.config)
    if sitefiles.BROKEN is not None:
        raise sitefiles.BROKEN
    todo = 0
    for subject, check in listChecks(args.rundir, args.projectid):
        for finding in runCheck(subject, check):
            print(finding, flush=True)
            todo += finding.level == TODO
    print(f"{todo} thing{'s' * (todo > 1)} to do" if todo else "All is well.")
    return 1 if todo else 0


def listChecks(rundir: Path | None, projectid: int | None) -> Iterator[tuple[str, Callable[[], Iterable[Finding]]]]:
    """What is looked at, in the order of a run: subject and check."""
    yield "settings", describeSources
    yield "alarms", checkAlarms
    yield "access", checkConfigFiles
    yield "database", partial(checkDatabases, projectid)
    yield "program", checkPrograms
    yield nameScheduler(), checkSlurm
    if rundir is not None:
        yield "run folder", partial(checkRundir, rundir)
        yield "access", partial(checkAccess, rundir)
    else:
        yield "folder", partial(checkFolder, Path.cwd(), "folder", "this folder (see --rundir)")


def describeSources() -> Iterator[Finding]:
    """Check the settings, and say where those that are not the default come from."""
    checkSettings()
    origins = sorted({one.origin for one in describeSettings()} - {"default"})
    yield Finding(WELL, "settings", f"from {', '.join(origins)}" if origins else "all are the default")


def useConfig(folder: Path) -> None:
    """Read sinedon.cfg and the settings from this folder, too; it wins over the others.

    Raises:
        ConfigurationFailure: it is no folder, or a file in it or in another of Dask's folders is broken.
    """
    if not folder.is_dir():
        raise ConfigurationFailure(f"--config={folder} is not a folder", "give the one that sinedon.cfg is in")
    checkFiles([os.fspath(folder)])
    os.environ["SINEDON_CFG_PATH"] = os.fspath(folder.absolute())
    dask.config.paths.append(os.fspath(folder.absolute()))
    if sitefiles.BROKEN is None:
        dask.config.refresh(paths=dask.config.paths)
