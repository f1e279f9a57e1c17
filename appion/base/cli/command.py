"""What every classic program does between its command line and its loop: checks, session, project, run folder, end."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import sinedon
from appion.base.calc.plain import makePlain
from appion.base.cli.logs import closeLogging, setupLogging
from appion.base.cli.options import Parser
from appion.base.cli.screen import endQuietly, isReaderGone
from appion.base.config import describeSettings
from appion.base.failures import ConfigurationFailure, Failure, classifyException
from appion.base.records.process import closeToEverybody
from appion.base.retrieve.session import Session, readImageNames, readSession, setupProject

logger = logging.getLogger(__name__)

RESERVED_RUNNAMES = ("templates", "models")


def prepareRun(args: argparse.Namespace, program: str) -> Session:
    """Check the options, find session and project, and fill in runname, rundir, project and session of `args`.

    After this the databases of the project are connected. Nothing is written.

    Raises:
        ConfigurationFailure, sinedon.errors.ConfigurationError: an option is missing, wrong or contradicts another.
    """
    if args.runname is None:
        args.runname = constructTimestamp(time.localtime())
    checkGlobalConflicts(args)
    sinedon.setup()
    session = readSession(args)
    args.sessionname = args.sessionname or session.name
    setupProject(args, session)
    if args.rundir is None:
        args.rundir = constructRundir(session.image_path, program, args.runname)
    args.rundir = os.path.abspath(args.rundir)
    return session


def checkGlobalConflicts(args: argparse.Namespace) -> None:
    """Check what can be checked without a database, in classic's order.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    if args.projectid is not None and args.projectid < 1:
        raise ConfigurationFailure(f"--projectid={args.projectid} is no project id")
    if args.runname in (*RESERVED_RUNNAMES, ""):
        raise ConfigurationFailure(f"--runname={args.runname} is reserved", "choose another --runname")
    if "/" in args.runname:
        raise ConfigurationFailure(f"--runname={args.runname} is a path", "use --rundir for the folder")
    if args.rundir is not None and os.path.basename(os.path.abspath(args.rundir)) != args.runname:
        name = os.path.basename(os.path.abspath(args.rundir))
        raise ConfigurationFailure(f"--runname={args.runname} and --rundir={args.rundir} disagree: the folder must be "
                                   "named as the run", f"use --runname={name} or another folder")
    if args.mrcnames and args.preset:
        raise ConfigurationFailure(f"--mrclist={args.mrcnames} and --preset={args.preset} exclude each other",
                                   "give one of them")
    if not args.sessionname and args.expid is None and not readImageNames(args.mrcnames):
        raise ConfigurationFailure("no images chosen", "give --session=NAME (or --expid=ID, or --mrclist=NAME,NAME)")
    if args.limit is not None and args.limit < 1:
        raise ConfigurationFailure(f"--limit={args.limit} leaves nothing to do", "give 1 or more, or leave it out")
    if None not in (args.startimgid, args.endimgid) and args.startimgid > args.endimgid:
        raise ConfigurationFailure(f"--startimgid={args.startimgid} is above --endimgid={args.endimgid}")


def constructTimestamp(now: time.struct_time) -> str:
    """Return classic's name for a run without one: ``25nov20o32`` is 20 November 2025, 14:32."""
    month = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")[now.tm_mon - 1]
    return f"{now.tm_year % 100:02d}{month}{now.tm_mday:02d}{chr(ord('a') + now.tm_hour)}{now.tm_min:02d}"


def constructRundir(image_path: str, program: str, runname: str) -> str:
    """Return ``<session folder>/<program>/<runname>``, the last 'leginon' of the session's folder becoming 'appion'.

    Raises:
        ConfigurationFailure: the session has no image path.
    """
    if not image_path:
        raise ConfigurationFailure("the session has no image path to put the run folder beside", "give --rundir=DIR")
    folder = image_path.rstrip("/").removesuffix("/rawdata")
    before, found, after = folder.rpartition("leginon")
    return os.path.join(f"{before}appion{after}" if found else folder, program, runname)


def createRundir(rundir: str | Path) -> Path:
    """Make the run folder and its parents, as far as they are missing, by this process's umask, and return it.

    Raises:
        ConfigurationFailure: it cannot be made or written to.
    """
    path = Path(rundir)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationFailure(f"the run folder {path} cannot be made: {error}",
                                   "check its rights or give another --rundir") from error
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationFailure(f"the run folder {path} cannot be written to",
                                   "check its rights or give another --rundir")
    return path


def printConfig(parser: Parser, args: argparse.Namespace, out: TextIO | None = None) -> None:
    """Print every setting and every option, one a line: name, value, and where it comes from."""
    out = sys.stdout if out is None else out
    for setting in describeSettings():
        print(f"appion.{setting.key}", *map(makePlain, (setting.value, setting.origin)), sep="\t", file=out)
    names = {action.dest: action.option_strings[-1] for action in reversed(parser.actions)}
    for dest, value in vars(args).items():
        if dest in parser.given:
            origin = "command line"
        else:
            origin = "default" if value == parser.get_default(dest) else "derived"
        print(names.get(dest, dest), makePlain(value), origin, sep="\t", file=out)


def runCommand(body: Callable[[], int | None]) -> int:
    """Run the body of a command and return its exit code. Messages go to standard error until the body sets up a log.

    Errors that a person can mend, what a database refuses among them, are shown as one line with exit code 2; a
    database that is away and an interrupt end with 1 and 130; anything unexpected is shown with its traceback and exit
    code 1. A reader of standard output that has seen enough, such as ``head``, ends it quietly.
    """
    setupLogging(None)
    closeToEverybody()
    try:
        return body() or 0
    except (ConfigurationFailure, sinedon.errors.SinedonError) as error:
        logger.error("%s", error)
        return 2
    except KeyboardInterrupt:
        logger.error("interrupted")
        return 130
    except Failure as error:
        logger.error("%s", error)
        return 2 if sinedon.findRefusal(error) else 1
    except Exception as error:
        if isinstance(error, BrokenPipeError) and isReaderGone():
            return endQuietly()
        if refusal := sinedon.findRefusal(error):
            logger.error("%s", refusal)
            return 2
        if sinedon.isDatabaseAway(error):
            logger.error("the database does not answer: %s", error)
        elif classifyException(error).kind == "infrastructure":
            logger.error("%s", classifyException(error, os.uname().nodename))
        else:
            logger.exception("unexpected: %s: %s", type(error).__name__, error)
        return 1
    finally:
        sinedon.closeConnections()
        closeLogging()
