"""The story of a classic command, told once: from its command line to the loop and to a job status."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sinedon
from appion.base.calc.numbers import calcFields
from appion.base.cli.command import createRundir, prepareRun, printConfig, runCommand
from appion.base.cli.dryrun import printDryRun
from appion.base.cli.job import Call, Command, J, Job, R
from appion.base.cli.logs import logMessages, setupLogging
from appion.base.cli.options import parseArguments
from appion.base.cli.program import checkRunProgram, listEarlier
from appion.base.cli.runoptions import checkRunOptions, constructRunOptions
from appion.base.cli.script import constructScriptRun
from appion.base.config import checkSettings, setting
from appion.base.controller.computed import setOthersAside
from appion.base.failures import ConfigurationFailure
from appion.base.loop import LoopOptions, runLoop
from appion.base.programs.tell import checkReceivers
from appion.base.records.series import PROBLEMS
from appion.base.records.task import Computed, Task, encodeComputed
from appion.base.retrieve.alarms import readAlarms
from appion.base.retrieve.host import readUserName
from appion.base.retrieve.news import constructNews
from appion.base.retrieve.session import isSessionDone
from appion.base.step import Step
from appion.base.store.job import failQueuedJob, finishJob, isAborted, startJob
from appion.base.store.lock import RunLock, acquireLock
from appion.base.store.path import savePathData
from appion.base.store.rights import checkRights, checkTables
from appion.base.store.runoptions import saveRunOptions
from appion.base.store.scratch import openScratchRoot
from appion.base.store.script import saveScriptRun
from appion.base.workers.task import computeTask

log = logging.getLogger(__name__)


def runStep(command: Command[J, R], argv: Sequence[str] | None = None) -> int:
    """Run a command with these words (`sys.argv[1:]` unless given) and return its exit code.

    0 done or stopped, 1 broken off or nothing came of it, 2 something a person has to mend.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    name = chooseName(command.names, sys.argv[0])
    parser = command.constructParser(name)
    args = parseArguments(parser, argv)
    call = Call(name.removesuffix(".py"), parser, args, argv)
    return runCommand(lambda: followCall(command, call))


def chooseName(names: Sequence[str], path: str) -> str:
    """Return the name that the user called, given the path of the script; the first one if it is none of them."""
    called = os.path.basename(path)
    return called if called in names else names[0]


def followCall(command: Command[J, R], call: Call) -> int:
    """Do what the options ask for; the exit code as in :func:`runStep`."""
    args, messages = call.args, call.parser.messages
    with failQueuedJob(args):
        checkSettings()
        if args.print_config:
            printConfig(call.parser, args)
            return 0
        checkReceivers(readAlarms().receivers)
        options = command.constructOptions(args, call.parser)
        session = prepareRun(args, command.folders.get(call.name, command.folder))
        job = command.prepareJob(call, options, session)
        if args.dry_run:
            logMessages(messages)
            if args.commit:
                checkTables(command.listWritten(job))
            checkRun(command, job)
            printDryRun(command, job)
            return 0
        if args.commit:
            checkRights(command.listWritten(job))
        rundir = createRundir(args.rundir)
        warnings = createScratchRoot(job.scratch) if job.scratch else ()
        with acquireLock(rundir) as lock:
            setupLogging(rundir, call.name, call.argv, quiet=args.background)
            logMessages(messages)
            logMessages([(logging.WARNING, text) for text in warnings])
            log.info("%s", job.context.program)
            logMessages([(logging.WARNING, text) for text in PROBLEMS])
            warnings = (*warnings, *PROBLEMS, *checkRun(command, job), *command.listWarnings(job))
            trouble = workOn(command, job, rundir, lock, warnings)
            if trouble:
                log.error("%s", trouble)
    return 1 if trouble else 0


def workOn(command: Command[J, R], job: J, rundir: Path, lock: RunLock, warnings: Sequence[str]) -> str:
    """Work on the run, whose lock is held, and keep its job row up to date. The warnings are noted with the run.

    Returns:
        Why nothing came of it, for which its job says E; empty if something did.
    """
    call, args, program = job.call, job.args, job.context.program
    path_id = notePath(rundir, args.commit)
    job_id = startJob(args, job.session.def_id, path_id, command.jobtype, command.other_jobtypes, readUserName())
    succeeded = False
    try:
        if path_id is not None:
            saveScriptRun(constructScriptRun(args, call.parser, call.name), job_id, path_id)
        # Before the options are noted: a start that dies in between must not leave results that pass for theirs.
        options, go_on = job.context.options, getattr(args, "continue")
        strict = setting("strict_versions")
        setOthersAside(rundir, command.decodeOptions, options, go_on, command.indifferent, program, strict)
        run = None
        if args.commit and path_id is not None:
            shaping = constructRunOptions(args, call.parser)
            saveRunOptions(rundir, call.name, shaping, program, listEarlier(rundir, program))
            run = command.saveRun(job, path_id)
        summary = runLoop(
            constructStep(command, job, run, job_id), rundir, constructLoopOptions(job, warnings), lock=lock
        )
        succeeded = not summary.trouble
        if run is not None:
            command.reportRun(run)
        return summary.trouble
    finally:
        finishJob(job_id, succeeded)


def notePath(rundir: Path, commit: bool) -> int | None:
    """Return the id of the run folder's row; None if the database takes none of a run that is not to be stored."""
    try:
        return savePathData(rundir)
    except Exception as error:
        refusal = sinedon.findRefusal(error)
        if commit or refusal is None:
            raise
        log.warning("folder and options of the run are not recorded: %s", refusal)
        return None


def checkRun(command: Command[J, R], job: J) -> tuple[str, ...]:
    """Return warnings about a run that has results already; ``--no-continue`` begins afresh.

    Raises:
        ConfigurationFailure: these were made with other options or by another program.
    """
    args = job.args
    if not (args.commit and getattr(args, "continue") and command.hasResults(args.runname, args.rundir)):
        return ()
    checkRunOptions(args, job.call.parser, command.programs)
    warning = checkRunProgram(args.rundir, args.runname, job.context.program)
    if warning:
        log.warning("%s", warning)
    return (warning,) if warning else ()


def createScratchRoot(folder: Path) -> tuple[str, ...]:
    """Make the folder of the scratch folders inside --tempdir; return a warning if it had to get another name.

    Raises:
        ConfigurationFailure: --tempdir cannot be used.
    """
    try:
        own, warning = openScratchRoot(folder)
    except OSError as error:
        raise ConfigurationFailure(f"--tempdir: {folder} cannot be made: {error}", "give another --tempdir") from error
    if not os.access(own, os.W_OK | os.X_OK):
        raise ConfigurationFailure(f"--tempdir: {own} cannot be written to", "give another --tempdir")
    return (warning,) if warning else ()


def constructLoopOptions(job: Job, warnings: Sequence[str] = ()) -> LoopOptions:
    """Return how to go through the images: newest first with a share for the oldest unless an order is asked for."""
    args = job.args
    return LoopOptions(
        wait=args.wait and not args.mrcnames,
        limit=args.limit,
        order="shuffle" if args.shuffle else "newest" if args.reverse else "live",
        commit=args.commit,
        gpus=job.gpus,
        scratch=job.scratch,
        session=job.session.name,
        warnings=tuple(warnings),
    )


def constructStep(command: Command[J, R], job: J, run: R | None, job_id: int | None = None) -> Step:
    """Return the functions of a step for the loop; without a run (``--no-commit``) nothing is stored."""
    settle, args = command.readSetting("settle"), job.args

    def checkReady(task: Task[Any, Any]) -> None:
        command.checkReady(task, settle)
        command.checkReferences(task)

    def store(computed: Computed[Any, Any]) -> Sequence[str]:
        if run is None:
            raise ConfigurationFailure("without --commit nothing is stored", "use --commit")
        return command.store(computed, run)

    return Step(
        name=command.step,
        retrieveCandidates=job.retrieveCandidates,
        retrieveRejected=job.retrieveRejected,
        retrieveDone=lambda: command.retrieveDone(job, None if run is None else run.def_id),
        retrieveParams=lambda ids: command.retrieveParams(ids, job.context),
        checkReady=checkReady,
        prepare=command.constructPreparation(),
        calc=partial(computeTask, command.calc),
        store=store,
        encode=encodeComputed,
        decode=command.decode,
        report=command.report,
        measure=partial(calcFields, command.measure),
        reads=command.reads,
        timeout=command.readSetting("timeout") if command.timed else None,
        isOver=lambda: isSessionDone(job.session.def_id),
        isAborted=lambda: isAborted(job_id),
        hasNews=constructNews(job.session.def_id, args.norejects or args.bestimages, args.sibassess),
        rest=lambda: sinedon.closeConnections(keep="leginondata"),
        program=job.context.program,
        folders=[folder for folder in command.listSources(job.session) if os.path.isdir(folder)],
    )
