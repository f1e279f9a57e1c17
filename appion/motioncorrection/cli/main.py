"""makeDDAlignMotionCor2_UCSF.py, makeDDAlignMotionCor3.py and their short names: what motion correction brings."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import sys
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from appion.base.cli.job import Call, Command, Job
from appion.base.cli.options import Parser
from appion.base.cli.program import findByCommand
from appion.base.cli.wiring import runStep
from appion.base.config import setting
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.paths import constructFrameFolder, expandVariables
from appion.base.retrieve.session import Session
from appion.base.store.scratch import calcScratchRoot
from appion.motioncorrection.calc.external import calcMotionCorrection, checkProgram
from appion.motioncorrection.calc.internal.encoding import decodeOptions, decodeResult
from appion.motioncorrection.calc.internal.numbers import calcNumbers
from appion.motioncorrection.cli.dryrun import constructLine
from appion.motioncorrection.cli.options import PROGRAM, PROGRAM3, constructMotionCorrectionParser, constructOptions
from appion.motioncorrection.records import (
    INDIFFERENT_OPTIONS,
    ComputedCorrection,
    MotionCorrectionOptions,
    MotionCorrectionTask,
)
from appion.motioncorrection.retrieve.done import hasResults, retrieveDone
from appion.motioncorrection.retrieve.params import ParamsContext, retrieveParams
from appion.motioncorrection.retrieve.ready import checkReady
from appion.motioncorrection.store.references import checkGain, checkGainFile, saveReferences
from appion.motioncorrection.store.result import storeResult
from appion.motioncorrection.store.rows import WRITTEN
from appion.motioncorrection.store.run import StackRun, findStackRun, saveStackRun

log = logging.getLogger(__name__)

#: What jobs of motion correction may be called beside what the web pages count: the names of its commands, by which
#: classic looks for them and as which the page for repeating a run makes them.
OTHER_JOBTYPES = ("makeddalignmotioncor2_ucsf", "makeddalignmotioncor3", "motioncor2", "motioncor3")

#: Options that not every program knows: field, option, and the programs that do not.
PARTIAL_OPTIONS = {
    "maskcentrow": ("--MaskCentrow", ("motioncor3", "motioncor-cpu")),
    "maskcentcol": ("--MaskCentcol", ("motioncor3", "motioncor-cpu")),
    "masksizerows": ("--MaskSizerows", ("motioncor3", "motioncor-cpu")),
    "masksizecols": ("--MaskSizecols", ("motioncor3", "motioncor-cpu")),
    "gpuids": ("--gpuids", ("motioncor-cpu",)),
    "inskips": ("--InSkips", ("motioncor2", "motioncor-cpu")),
    "cs": ("--Cs", ("motioncor2", "motioncor-cpu")),
    "ampcont": ("--AmpCont", ("motioncor2", "motioncor-cpu")),
    "extphase": ("--ExtPhase", ("motioncor2", "motioncor-cpu")),
}

#: Warnings of results that have been logged in this run.
_warned: set[str] = set()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0 done or stopped, 1 broken off, 2 something a person has to mend."""
    return runStep(MOTIONCOR_COMMAND, argv)


def readOptions(args: argparse.Namespace, parser: Parser) -> MotionCorrectionOptions:
    """Return the record of the options; the path of the gain reference is made absolute in `args` too, and looked at.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    options = constructOptions(args, parser)
    args.gainfile = options.gainfile
    checkGainFile(args.gainfile)
    return options


def prepareJob(call: Call, options: MotionCorrectionOptions, session: Session) -> Job:
    """Find the program, and say which options it does not know.

    Raises:
        ConfigurationFailure: naming the thing, its value and the remedy.
    """
    args = call.args
    _warned.clear()
    found = findByCommand(call.name)
    call.parser.messages.extend(found.messages)
    program = found.program
    checkProgram(program, options)
    for option in listIneffective(options, program.kind):
        log.warning("%s has no effect with %s (%s)", option, program.kind, program.path)
    if program.kind == "motioncor3" and options.cs:
        log.warning("--Cs=%g: MotionCor3 estimates the CTF of every sum as well; that takes time, and is not kept",
                    options.cs)  # fmt: skip
    if setting("motioncorrection.leave_out_odd_frames") and program.kind != "motioncor-cpu":
        log.warning("motioncorrection.leave_out_odd_frames has no effect with %s (%s)", program.kind, program.path)
    scratch = calcScratchRoot(args.rundir, args.tempdir and os.path.abspath(args.tempdir))
    context = ParamsContext(
        rundir=args.rundir,
        scratch=str(scratch),
        options=options,
        program=program,
        framepath=os.path.abspath(args.framepath) if args.framepath else "",
        timeout=setting("motioncorrection.timeout"),
        undo_eer_flip=setting("motioncorrection.undo_eer_flip"),
        missing_frames=int(setting("motioncorrection.missing_frames")),
        leave_out_odd_frames=setting("motioncorrection.leave_out_odd_frames"),
        normalise_gain=setting("motioncorrection.normalise_gain"),
    )
    candidates, rejected = constructSelection(args, session)
    return Job(
        call=call, session=session, context=context, retrieveCandidates=candidates, retrieveRejected=rejected,
        gpus=() if program.kind == "motioncor-cpu" else options.gpuids, scratch=scratch if args.tempdir else None,
    )  # fmt: skip


def listIneffective(options: MotionCorrectionOptions, kind: str) -> list[str]:
    """Return the options that are asked for and that a program of this kind does not know."""
    plain = MotionCorrectionOptions()
    return [
        option
        for field, (option, kinds) in PARTIAL_OPTIONS.items()
        if kind in kinds and getattr(options, field) != getattr(plain, field)
    ]


def findRun(job: Job) -> int | None:
    args = job.args
    bin = job.context.options.bin
    return findStackRun(job.session.def_id, args.runname, args.rundir, args.preset, args.align, bin)


def saveRun(job: Job, path_id: int) -> StackRun:
    args = job.args
    return saveStackRun(
        job.session.def_id, args.runname, path_id, args.preset, args.align, job.context.options.bin, args.stackid
    )


def readDone(job: Job, run_id: int | None) -> Set[int]:
    """Return what this run has stored completely; nothing with ``--no-continue``."""
    if not getattr(job.args, "continue"):
        return set()
    return retrieveDone(run_id, job.session.def_id, job.context.options)


def constructPreparation() -> Callable[[MotionCorrectionTask], MotionCorrectionTask]:
    """Return what writes the references of an exposure; the first few have their orientation checked."""
    checks = int(setting("motioncorrection.check_orientation"))
    submitted = itertools.count()

    def prepare(task: MotionCorrectionTask) -> MotionCorrectionTask:
        task = saveReferences(task)
        return addPicture(task) if next(submitted) < checks else task

    return prepare


def addPicture(task: MotionCorrectionTask) -> MotionCorrectionTask:
    """Return a task with Leginon's own picture to compare the orientation of the sum with."""
    picture = f"{task.origin.image_path}/{task.origin.filename}.mrc"
    return replace(task, params=replace(task.params, picture=picture))


def reportResult(computed: ComputedCorrection) -> str:
    """Log what a person should hear of a result beyond its rows and return it in one line.

    A warning that many exposures share is logged for the first of them.
    """
    name, result = computed.origin.filename, computed.result
    scores = result.orientation_scores
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


def listSources(session: Session) -> Sequence[str]:
    """The folders of Leginon's pictures, which sums are compared with, and of the movies."""
    return expandVariables(session.image_path), constructFrameFolder(session.frame_path, session.image_path)


MOTIONCOR_COMMAND = Command(
    names=(f"{PROGRAM}.py", f"{PROGRAM3}.py", "motioncor2.py", "motioncor3.py"),
    step="motioncorrection",
    folder=PROGRAM,
    folders={PROGRAM3: PROGRAM3, "motioncor3": PROGRAM3},
    jobtype="makeddrawframestack",  # that the web pages count
    other_jobtypes=OTHER_JOBTYPES,
    indifferent=INDIFFERENT_OPTIONS,
    constructParser=constructMotionCorrectionParser,
    constructOptions=readOptions,
    prepareJob=prepareJob,
    listWritten=lambda _job: WRITTEN,
    hasResults=hasResults,
    findRun=findRun,
    saveRun=saveRun,
    retrieveDone=readDone,
    retrieveParams=retrieveParams,
    checkReady=checkReady,
    checkReferences=checkGain,
    constructPreparation=constructPreparation,
    calc=calcMotionCorrection,
    store=storeResult,
    decode=decodeResult,
    decodeOptions=decodeOptions,
    report=reportResult,
    measure=calcNumbers,
    reads=lambda task: task.params.movie,
    listSources=listSources,
    constructLine=constructLine,
)


if __name__ == "__main__":
    sys.exit(main())
