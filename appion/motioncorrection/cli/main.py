"""motioncor2.py, also named makeDDAlignMotionCor2_UCSF.py: from the command line to the loop and to a job status."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from appion.base.cli.command import createRundir, prepareRun, printConfig, runCommand
from appion.base.cli.logs import logMessages, setupLogging
from appion.base.cli.options import Parser, parseArguments
from appion.base.config import checkSettings, setting
from appion.base.failures import ConfigurationFailure
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.images import constructSelection
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
from appion.motioncorrection.calc.external import calcMotionCorrection, checkProgram, findProgram
from appion.motioncorrection.calc.internal.encoding import decodeResult, encodeResult
from appion.motioncorrection.cli.dryrun import printDryRun
from appion.motioncorrection.cli.options import PROGRAM, constructMotionCorrectionParser, constructOptions
from appion.motioncorrection.records import (
    INDIFFERENT_OPTIONS,
    MotionCorrectionOptions,
    MotionCorrectionParams,
    MotionCorrectionResult,
)
from appion.motioncorrection.retrieve.done import hasResults, retrieveDone
from appion.motioncorrection.retrieve.params import ParamsContext, retrieveParams
from appion.motioncorrection.retrieve.ready import checkReady
from appion.motioncorrection.store.references import checkGain, checkGainFile, saveReferences
from appion.motioncorrection.store.result import storeResult
from appion.motioncorrection.store.run import StackRun, saveStackRun

log = logging.getLogger(__name__)

#: What the web pages call jobs of this program.
WEB_JOBTYPES = ("makeddrawframestack",)


#: Options that not every program knows: field, option, and the programs that do not.
PARTIAL_OPTIONS = {
    "maskcentrow": ("--MaskCentrow", ("motioncor3", "motioncor-cpu")),
    "maskcentcol": ("--MaskCentcol", ("motioncor3", "motioncor-cpu")),
    "masksizerows": ("--MaskSizerows", ("motioncor3", "motioncor-cpu")),
    "masksizecols": ("--MaskSizecols", ("motioncor3", "motioncor-cpu")),
    "patchrows": ("--Patchrows", ("motioncor-cpu",)),
    "patchcols": ("--Patchcols", ("motioncor-cpu",)),
    "gpuids": ("--gpuids", ("motioncor-cpu",)),
}

#: Warnings of results that have been logged.
_warned: set[str] = set()


@dataclass(frozen=True)
class Job:
    """What one call of the program works on."""

    args: argparse.Namespace
    session: Session
    context: ParamsContext
    retrieveCandidates: Callable[[int], Sequence[Candidate]]
    retrieveRejected: Callable[[], set[int]]

    @property
    def gpus(self) -> tuple[int, ...]:
        """GPUs to hand out; none where the program needs none."""
        return () if self.context.program.kind == "motioncor-cpu" else self.context.options.gpuids


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0 done or stopped, 1 broken off, 2 something a person has to mend."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = constructMotionCorrectionParser(os.path.basename(sys.argv[0]) or f"{PROGRAM}.py")
    args = parseArguments(parser, argv)
    return runCommand(lambda: failQueuedJob(args)(run)(parser, args, argv))


def run(parser: Parser, args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Do what the options ask for; the exit code as in :func:`main`."""
    checkSettings()
    if args.print_config:
        printConfig(parser, args)
        return 0
    job = prepareJob(parser, args)
    if args.dry_run:
        logMessages(parser.messages)
        checkOptions(parser, args)
        printDryRun(job.context, job.session, args, job.retrieveCandidates, job.retrieveRejected)
        return 0
    rundir = createRundir(args.rundir)
    if args.tempdir:
        createScratchRoot(job.context.scratch)
    with acquireLock(rundir) as lock:
        setupLogging(rundir, PROGRAM, argv, quiet=args.background)
        logMessages(parser.messages)
        program = job.context.program
        log.info("%s %s (%s)", program.kind, program.version or "of unknown version", program.path)
        checkOptions(parser, args)
        path_id = savePathData(rundir)
        job_id = startJob(args, job.session.def_id, path_id, PROGRAM, WEB_JOBTYPES)
        succeeded = False
        try:
            saveScriptRun(args, parser, job_id, path_id, PROGRAM)
            setOthersAside(
                rundir, decodeResult, job.context.options, getattr(args, "continue"), INDIFFERENT_OPTIONS
            )
            if args.commit:
                saveRunOptions(rundir, PROGRAM, constructRunOptions(args, parser))
            step = constructStep(job, saveRun(job, path_id) if args.commit else None)
            runLoop(step, rundir, constructLoopOptions(job), lock=lock)
            succeeded = True
        finally:
            finishJob(job_id, succeeded)
    return 0


def prepareJob(parser: Parser, args: argparse.Namespace) -> Job:
    """Check everything that can be wrong before anything is written, and find session, project and program.

    Raises:
        ConfigurationFailure, sinedon.errors.ConfigurationError: naming the thing, its value and the remedy.
    """
    options = constructOptions(args, parser)
    args.gainfile = options.gainfile
    checkGainFile(args.gainfile)
    session = prepareRun(args, PROGRAM)
    program = findProgram(setting("motioncorrection.executable") or "")
    checkProgram(program, options)
    for option in listIneffective(options, program.kind):
        log.warning("%s has no effect with %s (%s)", option, program.kind, program.path)
    context = ParamsContext(
        rundir=args.rundir,
        scratch=str(calcScratchRoot(args.rundir, args.tempdir and os.path.abspath(args.tempdir))),
        options=options,
        program=program,
        framepath=os.path.abspath(args.framepath) if args.framepath else "",
        timeout=setting("motioncorrection.timeout"),
        undo_eer_flip=setting("motioncorrection.undo_eer_flip"),
    )
    return Job(args, session, context, *constructSelection(args, session))


def checkOptions(parser: Parser, args: argparse.Namespace) -> None:
    """Raise ConfigurationFailure if the run has results of other options; ``--no-continue`` begins afresh."""
    if args.commit and getattr(args, "continue") and hasResults(args.runname, args.rundir):
        checkRunOptions(args, parser, PROGRAM)


def listIneffective(options: MotionCorrectionOptions, kind: str) -> list[str]:
    """Return the options that are asked for and that a program of this kind does not know."""
    plain = MotionCorrectionOptions()
    return [
        option
        for field, (option, kinds) in PARTIAL_OPTIONS.items()
        if kind in kinds and getattr(options, field) != getattr(plain, field)
    ]


def createScratchRoot(folder: str) -> None:
    """Make the folder of the scratch folders inside --tempdir. Raises ConfigurationFailure if it cannot be used."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise ConfigurationFailure(f"--tempdir: {folder} cannot be made: {error}", "give another --tempdir") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationFailure(f"--tempdir: {folder} cannot be written to", "give another --tempdir")


def saveRun(job: Job, path_id: int) -> StackRun:
    args = job.args
    return saveStackRun(
        job.session.def_id, args.runname, path_id, args.preset, args.align, job.context.options.bin, args.stackid
    )


def constructLoopOptions(job: Job) -> LoopOptions:
    """Return how to go through the exposures: newest first with a share for the oldest unless an order is asked for."""
    args = job.args
    return LoopOptions(
        wait=args.wait and not args.mrcnames,
        limit=args.limit,
        order="shuffle" if args.shuffle else "newest" if args.reverse else "live",
        commit=args.commit,
        gpus=job.gpus,
        scratch=Path(job.context.scratch) if args.tempdir else None,
        session=job.session.name,
    )


def constructStep(job: Job, stack_run: StackRun | None) -> Step:
    """Return the functions of motion correction for the loop; without a run (``--no-commit``) nothing is stored."""
    settle, checks = setting("motioncorrection.settle"), int(setting("motioncorrection.check_orientation"))
    submitted = itertools.count()

    def checkInputs(params: MotionCorrectionParams) -> None:
        checkReady(params, settle)
        checkGain(params)

    def prepare(params: MotionCorrectionParams) -> MotionCorrectionParams:
        return replace(saveReferences(params), check_orientation=next(submitted) < checks)

    def readDone() -> set[int]:
        if stack_run is None or not getattr(job.args, "continue"):
            return set()
        return retrieveDone(stack_run.def_id, job.session.def_id, job.context.options)

    def store(result: MotionCorrectionResult) -> tuple[str, ...]:
        if stack_run is None:
            raise ConfigurationFailure("without --commit nothing is stored", "use --commit")
        return storeResult(result, stack_run)

    return Step(
        name="motioncorrection",
        retrieveCandidates=job.retrieveCandidates,
        retrieveRejected=job.retrieveRejected,
        retrieveDone=readDone,
        retrieveParams=lambda ids: retrieveParams(ids, job.context),
        checkReady=checkInputs,
        prepare=prepare,
        calc=calcMotionCorrection,
        store=store,
        encode=encodeResult,
        decode=decodeResult,
        report=reportResult,
        timeout=setting("motioncorrection.timeout"),
        isOver=lambda: isSessionDone(job.session.def_id),
    )


def reportResult(result: MotionCorrectionResult) -> str:
    """Log what a person should hear of a result beyond its rows and return it in one line.

    A warning that many exposures share is logged for the first of them.
    """
    name, scores = result.params.filename, result.orientation_scores
    for warning in result.warnings:
        if warning not in _warned:
            _warned.add(warning)
            log.warning("%s: %s", name, warning)
    found = ""
    if result.orientation == 0:
        found = f"orientation as expected (correlation {scores[0]:.2f}, others up to {max(scores[1:]):.2f})"
    elif result.orientation is None and scores:
        found = f"orientation cannot be told from this image (correlations up to {max(scores):.2f})"
    if found:
        log.info("%s: %s", name, found)
    return "; ".join(filter(None, (*result.warnings, found)))


if __name__ == "__main__":
    sys.exit(main())
