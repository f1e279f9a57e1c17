"""ctffind4.py and gctf.py: from the command line to the loop and to a job status."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appion.base.cli.command import createRundir, prepareRun, printConfig, runCommand
from appion.base.cli.logs import logMessages, setupLogging
from appion.base.cli.options import Parser, parseArguments
from appion.base.config import checkSettings, setting
from appion.base.failures import ConfigurationFailure
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.runoptions import checkRunOptions, constructRunOptions
from appion.base.retrieve.session import Session, isSessionDone
from appion.base.step import Candidate, Step
from appion.base.store.computed import setOthersAside
from appion.base.store.job import failQueuedJob, finishJob, startJob
from appion.base.store.lock import acquireLock
from appion.base.store.path import savePathData
from appion.base.store.runoptions import saveRunOptions
from appion.base.store.scratch import calcScratchRoot
from appion.base.store.script import saveScriptRun
from appion.ctfestimation.calc.external import calcCTF, findProgram
from appion.ctfestimation.calc.internal.encoding import decodeResult, encodeResult
from appion.ctfestimation.cli.dryrun import printDryRun
from appion.ctfestimation.cli.options import (
    CTFFIND,
    GCTF,
    constructCtffindParser,
    constructGctfParser,
    constructOptions,
)
from appion.ctfestimation.cli.report import reportConfidences, reportResult
from appion.ctfestimation.records import CTFResult
from appion.ctfestimation.retrieve.done import constructRunParams, findCTFRun, hasResults, retrieveDone
from appion.ctfestimation.retrieve.micrographs import readCs, readDDStackRun
from appion.ctfestimation.retrieve.params import ParamsContext, retrieveParams
from appion.ctfestimation.retrieve.ready import checkReady
from appion.ctfestimation.retrieve.selection import constructCTFSelection
from appion.ctfestimation.store.result import storeResult
from appion.ctfestimation.store.run import CTFRun, checkTables, saveCTFRun

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Command:
    """What the two programs differ in.

    Attributes:
        name: under which runs and options are recorded. kind: of the external program.
        folder: of the session's folder in which run folders are by default.
        jobtype: that the web pages count; other_jobtypes: what jobs of this program have been called as well.
    """

    name: str
    kind: str
    folder: str
    jobtype: str
    other_jobtypes: tuple[str, ...] = ()


COMMANDS = {
    CTFFIND: Command(CTFFIND, "ctffind", "ctf", "ctfestimate", (CTFFIND,)),
    GCTF: Command(GCTF, "gctf", "gctf", "gctf"),
}


@dataclass(frozen=True)
class Job:
    """What one call of a program works on; `run_id` is the run's row if there is one already."""

    args: argparse.Namespace
    session: Session
    context: ParamsContext
    run_params: Mapping[str, Any]
    run_id: int | None
    retrieveCandidates: Callable[[int], Sequence[Candidate]]
    retrieveRejected: Callable[[], set[int]]

    @property
    def gpus(self) -> tuple[int, ...]:
        """GPUs to hand out; none where the program needs none."""
        return tuple(setting("ctfestimation.gpus")) if self.context.is_gctf else ()


def mainCtffind(argv: Sequence[str] | None = None) -> int:
    """Run ctffind4.py; return its exit code: 0 done or stopped, 1 broken off, 2 something a person has to mend."""
    return main(COMMANDS[CTFFIND], constructCtffindParser, argv)


def mainGctf(argv: Sequence[str] | None = None) -> int:
    """Run gctf.py; the exit code as in :func:`mainCtffind`."""
    return main(COMMANDS[GCTF], constructGctfParser, argv)


def main(command: Command, construct: Callable[[str], Parser], argv: Sequence[str] | None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = construct(f"{command.name}.py")
    args = parseArguments(parser, argv)
    return runCommand(lambda: failQueuedJob(args)(run)(command, parser, args, argv))


def run(command: Command, parser: Parser, args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Do what the options ask for; the exit code as in :func:`mainCtffind`."""
    checkSettings()
    if args.print_config:
        printConfig(parser, args)
        return 0
    job = prepareJob(command, parser, args)
    if args.dry_run:
        logMessages(parser.messages)
        checkOptions(command, parser, args)
        printDryRun(job.context, args, job.retrieveCandidates, job.retrieveRejected, lambda: readDone(job, job.run_id))
        return 0
    rundir = createRundir(args.rundir)
    with acquireLock(rundir) as lock:
        setupLogging(rundir, command.name, argv, quiet=args.background)
        logMessages(parser.messages)
        program = job.context.program
        log.info("%s %s (%s)", program.kind, program.version or "of unknown version", program.path)
        checkOptions(command, parser, args)
        path_id = savePathData(rundir)
        job_id = startJob(args, job.session.def_id, path_id, command.jobtype, command.other_jobtypes)
        succeeded = False
        try:
            saveScriptRun(args, parser, job_id, path_id, command.name)
            if args.commit:
                saveRunOptions(rundir, command.name, constructRunOptions(args, parser))
            ctf_run = saveRun(job, path_id) if args.commit else None
            setOthersAside(rundir, decodeResult, job.context.options, getattr(args, "continue"))
            runLoop(constructStep(job, ctf_run), rundir, constructLoopOptions(job), lock=lock)
            succeeded = True
            if ctf_run is not None:
                reportConfidences(ctf_run)
        finally:
            finishJob(job_id, succeeded)
    return 0


def prepareJob(command: Command, parser: Parser, args: argparse.Namespace) -> Job:
    """Check everything that can be wrong before anything is written, and find session, project, program and run.

    Raises:
        ConfigurationFailure, sinedon.errors.ConfigurationError: naming the thing, its value and the remedy.
    """
    options = constructOptions(args, parser)
    session = prepareRun(args, command.folder)
    cs = readCs(session.def_id, session.name)
    if options.ddstackid is not None:
        readDDStackRun(options.ddstackid)
    run_params = constructRunParams(options, cs, command.kind == "gctf")
    run_id = None
    if args.commit:
        checkTables()
        run_id = findCTFRun(session.def_id, args.runname, args.rundir, run_params)
    retrieveCandidates, retrieveRejected, owners = constructCTFSelection(args, session)
    context = ParamsContext(
        rundir=args.rundir,
        scratch=str(calcScratchRoot(args.rundir)),
        options=options,
        program=findProgram(command.kind, setting(f"{command.kind}.executable") or ""),
        cs=cs,
        timeout=setting("ctfestimation.timeout"),
        owners=owners,
    )
    return Job(args, session, context, run_params, run_id, retrieveCandidates, retrieveRejected)


def checkOptions(command: Command, parser: Parser, args: argparse.Namespace) -> None:
    """Raise ConfigurationFailure if the run has results of other options; ``--no-continue`` begins afresh."""
    if args.commit and getattr(args, "continue") and hasResults(args.runname, args.rundir):
        checkRunOptions(args, parser, command.name)


def saveRun(job: Job, path_id: int) -> CTFRun:
    return saveCTFRun(job.session.def_id, job.args.runname, path_id, job.run_params)


def readDone(job: Job, run_id: int | None) -> set[int]:
    """Return what this run has stored. With ``--reprocess`` the selection leaves out what is good enough already."""
    if job.args.reprocess is not None or not getattr(job.args, "continue"):
        return set()
    return retrieveDone(run_id)


def constructLoopOptions(job: Job) -> LoopOptions:
    """Return how to go through the images: newest first with a share for the oldest unless an order is asked for."""
    args = job.args
    return LoopOptions(
        wait=args.wait and not args.mrcnames,
        limit=args.limit,
        order="shuffle" if args.shuffle else "newest" if args.reverse else "live",
        commit=args.commit,
        gpus=job.gpus,
        scratch=Path(job.context.scratch),
        session=job.session.name,
    )


def constructStep(job: Job, ctf_run: CTFRun | None) -> Step:
    """Return the functions of CTF estimation for the loop; without a run (``--no-commit``) nothing is stored."""
    settle = setting("ctfestimation.settle")

    def store(result: CTFResult) -> tuple[str, ...]:
        if ctf_run is None:
            raise ConfigurationFailure("without --commit nothing is stored", "use --commit")
        return storeResult(result, ctf_run)

    return Step(
        name="ctfestimation",
        retrieveCandidates=job.retrieveCandidates,
        retrieveRejected=job.retrieveRejected,
        retrieveDone=lambda: readDone(job, ctf_run.def_id if ctf_run else None),
        retrieveParams=lambda ids: retrieveParams(ids, job.context),
        checkReady=lambda params: checkReady(params, settle),
        prepare=lambda params: params,
        calc=calcCTF,
        store=store,
        encode=encodeResult,
        decode=decodeResult,
        report=reportResult,
        timeout=setting("ctfestimation.timeout"),
        isOver=lambda: isSessionDone(job.session.def_id),
    )


if __name__ == "__main__":
    sys.exit(mainCtffind())
