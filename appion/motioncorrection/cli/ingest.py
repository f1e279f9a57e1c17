"""`appion ingest --what=motion`: motion correction that takes CryoSPARC's results in place of running a program."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from functools import partial

from appion.base.cli.ingest import (
    RECORDED,
    Source,
    checkIngestOptions,
    constructIngestParser,
    constructProgram,
    noteCandidates,
)
from appion.base.cli.job import Call, Command, Job
from appion.base.cli.options import Parser
from appion.base.config import setting
from appion.base.failures import ImageFailure, NotReady
from appion.base.records.cryosparc import CryosparcMotion
from appion.base.records.ids import Ids
from appion.base.retrieve.cryosparc.index import Match
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.session import Session
from appion.base.retrieve.settled import checkSettled
from appion.base.step import Candidate
from appion.base.store.scratch import calcScratchRoot
from appion.motioncorrection.calc.external.cryosparc import ingestMotion
from appion.motioncorrection.cli.main import MOTIONCOR_COMMAND, addPicture, listSources
from appion.motioncorrection.records import MotionCorrectionOptions, MotionCorrectionTask
from appion.motioncorrection.retrieve.done import retrieveDone
from appion.motioncorrection.retrieve.params import ParamsContext
from appion.motioncorrection.store.run import StackRun, findStackRun, saveStackRun

#: Options that follow from what CryoSPARC did, exposure by exposure.
FOLLOWING = frozenset({"gpuids", "startframe", "nframe", "rendered_frame_size"})


def constructMotionIngest(source: Source) -> Command[Job, StackRun]:
    """Return the command, which reads from one folder of CryoSPARC's."""
    return replace(
        MOTIONCOR_COMMAND,
        names=(f"{RECORDED}.py",),
        folder="cryosparc",
        folders={},
        indifferent=FOLLOWING,
        constructParser=constructIngestParser,
        constructOptions=constructIngestOptions,
        prepareJob=partial(prepareJob, source),
        findRun=findRun,
        saveRun=saveRun,
        retrieveDone=readDone,
        checkReady=partial(checkReady, source),
        checkReferences=lambda _task: None,
        constructPreparation=lambda: partial(prepare, source),
        calc=ingestMotion,
        reads=lambda _task: "",
        listSources=partial(listFolders, source),
        listWarnings=partial(listWarnings, source),
        reportRun=partial(reportRun, source),
        constructLine=partial(constructLine, source),
    )


def constructIngestOptions(args: argparse.Namespace, _parser: Parser) -> MotionCorrectionOptions:
    """Return the record of the options.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    checkIngestOptions(args)
    return MotionCorrectionOptions(
        bin=args.bin, alignlabel=args.alignlabel, cryosparc=args.cryosparc, as_stored=args.as_stored
    )


def prepareJob(source: Source, call: Call, options: MotionCorrectionOptions, session: Session) -> Job:
    """Read CryoSPARC's folder.

    Raises:
        ConfigurationFailure, InfrastructureFailure: naming the thing, its value and the remedy.
    """
    args = call.args
    index = source.open(options.cryosparc, args.rundir)
    context = ParamsContext(
        rundir=args.rundir, scratch=str(calcScratchRoot(args.rundir)), options=options,
        program=constructProgram(index), framepath=args.framepath or "", timeout=setting("motioncorrection.timeout"),
    )  # fmt: skip
    candidates, rejected = constructSelection(args, session)
    return Job(
        call=call, session=session, context=context, retrieveRejected=rejected,
        retrieveCandidates=noteCandidates(candidates, source, nameImages),
    )  # fmt: skip


def nameImages(candidates: Iterable[Candidate]) -> Iterable[tuple[int, str]]:
    """Return ids and names of the exposures."""
    return [(one.image_id, one.filename) for one in candidates]


def readDone(job: Job, run_id: int | None) -> Set[int]:
    """Return what this run has stored completely; nothing with ``--no-continue``.

    Of some exposures CryoSPARC keeps one sum, of some two: a record in the journal says that something may be missing,
    since it goes last.
    """
    if not getattr(job.args, "continue"):
        return set()
    stored = retrieveDone(run_id, job.session.def_id, job.context.options)
    return stored - Ids(retrieveResultIds(job.args.rundir))


def findRun(job: Job) -> int | None:
    """Return the id of the run's row if there is one."""
    args = job.args
    return findStackRun(job.session.def_id, args.runname, args.rundir, args.preset, True, args.bin)


def saveRun(job: Job, path_id: int) -> StackRun:
    """Return the run's row, found or made."""
    args = job.args
    return saveStackRun(job.session.def_id, args.runname, path_id, args.preset, True, args.bin)


def findMotion(source: Source, task: MotionCorrectionTask) -> tuple[Match, CryosparcMotion]:
    """Return what CryoSPARC found of an exposure, and by which rule it is that exposure.

    Raises:
        NotReady: nothing yet. ImageFailure: nothing that may be taken.
    """
    name, movies = task.origin.filename, (task.params.movie, *task.origin.other_movies)
    found = source.find(name, lambda index: index.findMovie(movies, name))
    motion, uid = found.exposure.motion, found.exposure.uid
    if motion is None:
        raise NotReady(f"CryoSPARC's exposure {uid} has no micrograph and motion yet: {found.exposure.no_motion}")
    for path in (motion.trajectory, *(image.path for image in motion.images)):
        if not source.index.places.isInside(path):
            raise ImageFailure(f"CryoSPARC's exposure {uid}: {path} leads out of the project", "copy the file into it")
    return found, motion


def checkReady(source: Source, task: MotionCorrectionTask, settle: float) -> None:
    """Return if CryoSPARC is done with the exposure and its files are whole.

    Raises:
        NotReady, ImageFailure, InfrastructureFailure: it is not, cannot be, or the disk does not answer.
    """
    _, motion = findMotion(source, task)
    checkSettled(motion.trajectory, settle)
    for image in motion.images:
        checkSettled(image.path, settle)
        readMovieHeader(image.path)


def prepare(source: Source, task: MotionCorrectionTask) -> MotionCorrectionTask:
    """Return the task with what CryoSPARC found, and with Leginon's picture, unless that is not to be looked at."""
    _, motion = findMotion(source, task)
    task = replace(task, params=replace(task.params, cryosparc=motion))
    return addPicture(task) if setting("motioncorrection.check_orientation") else task


def listFolders(source: Source, session: Session) -> Sequence[str]:
    """The folder of Leginon's pictures, and that of CryoSPARC's project."""
    return listSources(session)[0], source.index.places.project


def listWarnings(source: Source, job: Job) -> Sequence[str]:
    """Return a warning of what of CryoSPARC's folder is no image of the selection."""
    list(job.retrieveCandidates(0))
    return source.describeUnmatched()


def reportRun(source: Source, _run: StackRun) -> None:
    """Say at the end what was not matched."""
    source.reportUnmatched()


def constructLine(source: Source, task: MotionCorrectionTask, _job: Job) -> dict[str, object]:
    """Return what a dry run prints: which exposure, by which rule, and which files would be read."""
    found, motion = findMotion(source, task)
    return {"exposure": found.exposure.uid, "rule": found.rule,
            "reads": [motion.trajectory, *(image.path for image in motion.images)]}  # fmt: skip
