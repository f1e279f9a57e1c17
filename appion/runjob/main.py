"""`runJob.py [wrapper] program options`: submits the program and prints the number of the job, and nothing else.

The web pages take the digits at the end of standard output as the job's number, wait for them for 20 s, and show
nothing or "failed" otherwise. So whatever goes wrong before the job exists goes to standard error with exit code 1;
what goes wrong after that is a warning there, and the number is printed all the same.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO

import sinedon
from appion.base.calc.plain import makePlain
from appion.base.cli.command import createRundir
from appion.base.cli.logs import closeLogging, setupLogging
from appion.base.cli.patience import callWithin
from appion.base.cli.screen import bearWithReader, replaceUnshowable
from appion.base.config import setting
from appion.base.failures import Failure, InfrastructureFailure
from appion.base.records.process import closeToEverybody
from appion.base.records.stamp import readVersion
from appion.runjob.command import PROGRAMS, JobRequest, readRequest, splitOptions
from appion.runjob.row import failJobRow, insertJobRow, updateJobRow
from appion.runjob.script import NOT_STARTED, constructPlace, constructScript, findCommands, saveScript
from appion.runjob.submit import submitScript

logger = logging.getLogger(__name__)

USAGE = """\
usage: runJob.py [WRAPPER] PROGRAM --rundir=DIR [options of PROGRAM]
                 [--nodes=N] [--ppn=N] [--walltime=HOURS] [--mem=GB] [--queue=PARTITION] [--jobid=ROW]

Submits a program to Slurm and prints the number of the job. The script is made from a template (setting
appion.runjob.template) and kept as DIR/<run name>.appionsub.job; DIR/run_commands.log has every command line.
Alone on the line: --version, --help.
"""

#: What a process of its own is called with that writes into a job's row what the database had no time for.
NOTE_LATER = "--note-later"

#: Seconds between its tries, and after which it gives up.
AGAIN, AT_MOST = 5.0, 600.0


@bearWithReader
def main(argv: Sequence[str] | None = None) -> int:
    """Submit a job; return 0, or 1 if there is no job. Only the job's number is written to standard output."""
    argv = list(sys.argv[1:] if argv is None else argv)
    out = sys.stdout
    replaceUnshowable()
    if argv in (["--help"], ["-h"]):
        print(USAGE, end="")
        return 0
    if argv == ["--version"]:
        print(f"runJob.py {readVersion()}")
        return 0
    setupLogging(None, quiet=True)
    closeToEverybody()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            if argv[:1] == [NOT_STARTED]:
                giveUp(argv[1:])
            elif argv[:1] == [NOTE_LATER]:
                noteLater(argv[1:])
            else:
                runJob(argv, out)
        except (Failure, sinedon.errors.SinedonError, OSError) as error:
            logger.error("%s", error)
            return 1
        except Exception as error:
            logger.exception("unexpected: %s: %s", type(error).__name__, error)
            return 1
        finally:
            closeLogging()
    return 0


def runJob(argv: Sequence[str], out: TextIO) -> None:
    """Submit the job of a command line and write its number to `out`."""
    wrappers = [name for name in (os.environ.get("APPION_WRAPPER_PATH"), setting("runjob.wrapper")) if name]
    request = readRequest(argv, wrappers)
    if "cput" in request.options:
        logger.warning("--cput=%s has no effect: Slurm knows no such limit", request.options["cput"])
    template, timeout = setting("runjob.template"), setting("runjob.timeout")
    constructScript(request, template, None)  # what is wrong with it is said before anything is written
    createRundir(request.rundir)
    noteCommand(request, argv)
    jobid = request.jobid if request.jobid is not None else makeJobRow(request)
    ours = request.program in PROGRAMS and request.jobid is None
    script = saveScript(request, constructScript(request, template, jobid, ours))
    clusterjobid = submitScript(script, timeout)
    out.write(f"{clusterjobid}\n")
    out.flush()
    if jobid is not None:
        noteSubmission(request, jobid, clusterjobid)


def giveUp(words: Sequence[str]) -> None:
    """Called by the script of a job whose program cannot be started: its row becomes E."""
    options = {name: value for name, value, _ in splitOptions(words) if name}
    if failJobRow(options):
        logger.error("the program never began: the row of job %s says E now", options["jobid"])


def noteCommand(request: JobRequest, argv: Sequence[str]) -> None:
    """Append the command line to ``<rundir>/run_commands.log``."""
    line = f"# {time.strftime('%Y-%m-%d %H:%M:%S')}\n{makePlain(shlex.join(['runJob.py', *argv]))}\n"
    with open(request.rundir / "run_commands.log", "ab") as log:
        log.write(os.fsencode(line))


def makeJobRow(request: JobRequest) -> int | None:
    """Insert a job row and return its id; None without ``--commit`` or a database."""
    if not request.commit:
        return None
    try:
        return callWithin(setting("runjob.patience"), "the database", insertJobRow, request)
    except Exception as error:
        logger.warning("the job gets no row in the database: %s", error)
        return None


def noteSubmission(request: JobRequest, jobid: int, clusterjobid: int) -> None:
    """Write the job's number and status into its row; a database that is slow or away is told by another process."""
    patience = setting("runjob.patience")
    try:
        callWithin(patience, "the database", updateJobRow, request.options, jobid, clusterjobid)
    except Exception as error:
        yet = ""
        if isinstance(error, InfrastructureFailure) or sinedon.isDatabaseAway(error):
            yet = " yet" if leaveNote([str(clusterjobid), *constructPlace(request, jobid)]) else ""
        logger.warning("job %d is submitted, but row %d does not say so%s: %s", clusterjobid, jobid, yet, error)


def leaveNote(words: Sequence[str]) -> bool:
    """Have another process note a job, for which nobody waits; returns whether there is one."""
    program = shutil.which("runJob.py", path=findCommands())
    if program is None:
        return False
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    os.posix_spawn(program, [program, NOTE_LATER, *words], os.environ, file_actions=nothing, setsid=True)
    return True


def noteLater(words: Sequence[str]) -> None:
    """Write a job's number into its row as soon as the database takes it."""
    options = {name: value for name, value, _ in splitOptions(words[1:]) if name}
    end = time.monotonic() + AT_MOST
    while True:
        try:
            return updateJobRow(options, int(options["jobid"]), int(words[0]))
        except Exception as error:
            if not sinedon.isDatabaseAway(error) or time.monotonic() > end:
                raise
            sinedon.closeConnections()
        time.sleep(AGAIN)
