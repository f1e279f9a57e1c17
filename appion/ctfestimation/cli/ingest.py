"""`appion ingest --what=ctf`: CTF estimation that takes CryoSPARC's fits in place of running a program."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from appion.base.cli.ingest import (
    RECORDED,
    Source,
    checkIngestOptions,
    constructIngestParser,
    constructProgram,
    noteCandidates,
)
from appion.base.cli.job import Call, Command
from appion.base.cli.options import Parser
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, NotReady
from appion.base.records.cryosparc import CryosparcFit
from appion.base.retrieve.cryosparc.index import Index, Match
from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.session import Session
from appion.base.retrieve.settled import checkSettled
from appion.base.step import Candidate
from appion.base.store.scratch import calcScratchRoot
from appion.ctfestimation.calc.external.cryosparc import ingestCTF
from appion.ctfestimation.cli.main import CTFFIND_COMMAND, CTFJob
from appion.ctfestimation.cli.report import reportConfidences
from appion.ctfestimation.records import CTFOptions, CTFTask
from appion.ctfestimation.retrieve import ready
from appion.ctfestimation.retrieve.cryosparc import readExposureNames, retrieveIngestParams
from appion.ctfestimation.retrieve.micrographs import readCs
from appion.ctfestimation.retrieve.params import ParamsContext
from appion.ctfestimation.retrieve.selection import constructCTFSelection
from appion.ctfestimation.store.run import CTFRun, checkTables, constructIngestParams, findCTFRun


def constructCTFIngest(source: Source) -> Command[CTFJob, CTFRun]:
    """Return the command, which reads from one folder of CryoSPARC's."""
    return replace(
        CTFFIND_COMMAND,
        names=(f"{RECORDED}.py",),
        folder="cryosparc",
        constructParser=constructIngestParser,
        constructOptions=constructIngestOptions,
        prepareJob=partial(prepareJob, source),
        retrieveParams=partial(retrieveParams, source),
        checkReady=partial(checkReady, source),
        constructPreparation=lambda: partial(prepare, source),
        calc=ingestCTF,
        listSources=partial(listFolders, source),
        listWarnings=partial(listWarnings, source),
        reportRun=partial(reportRun, source),
        constructLine=partial(constructLine, source),
    )


def constructIngestOptions(args: argparse.Namespace, _parser: Parser) -> CTFOptions:
    """Return the record of the options.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    checkIngestOptions(args)
    if not args.preset and not args.mrcnames:
        raise ConfigurationFailure(
            "of an exposure there are several images: which of them CTFs belong to has to be said",
            f"give --preset=NAME, such as enn-{args.alignlabel}-DW, or --mrclist",
        )
    args.reprocess = None
    return CTFOptions(cryosparc=args.cryosparc)


def prepareJob(source: Source, call: Call, options: CTFOptions, session: Session) -> CTFJob:
    """Read CryoSPARC's folder, and find the lens and the run.

    Raises:
        ConfigurationFailure, InfrastructureFailure, sinedon.errors.ConfigurationError: naming the thing, its value and
            the remedy.
    """
    args = call.args
    index, cs = source.open(options.cryosparc, args.rundir), readCs(session.def_id, session.name)
    run_params = constructIngestParams(cs, constructNoted(index))
    run_id = None
    if args.commit:
        checkTables(run_params)
        run_id = findCTFRun(session.def_id, args.runname, args.rundir, run_params)
    candidates, rejected, owners = constructCTFSelection(args, session)
    context = ParamsContext(
        rundir=args.rundir, scratch=str(calcScratchRoot(args.rundir)), options=options,
        program=constructProgram(index), cs=cs, timeout=setting("ctfestimation.timeout"), owners=owners,
    )  # fmt: skip
    source.framepath = args.framepath or ""
    return CTFJob(
        call=call, session=session, context=context, retrieveRejected=rejected, run_params=run_params, run_id=run_id,
        retrieveCandidates=noteCandidates(candidates, source, nameImages),
    )  # fmt: skip


def constructNoted(index: Index) -> dict[str, Any]:
    """Return what the row of a new run says of CryoSPARC's search, as far as its first fit tells: contrast, side of
    the spectrum (pixels), and whether a phase shift was looked for."""
    fits = [one.fit for one in index.content.exposures if one.fit is not None]
    if not fits:
        return {}
    sides = [int(value) for name, value in fits[0].notes if name == "ctf_stats/spectrum_dim" and value.isdigit()]
    noted: dict[str, Any] = {"ampcontrast": round(fits[0].amplitude_contrast, 6)}
    noted["shift_phase"] = any(abs(fit.phase_shift) > math.radians(0.01) for fit in fits)
    return noted | ({"fieldsize": sides[0]} if sides else {})


def nameImages(candidates: Iterable[Candidate]) -> Iterable[tuple[int, str]]:
    """Return ids and names of images and of the exposures that they were made from."""
    images = [(one.image_id, one.filename) for one in candidates]
    return images + readExposureNames([image_id for image_id, _ in images])


def retrieveParams(source: Source, ids: Sequence[int], context: ParamsContext) -> dict[int, CTFTask | Failure]:
    """Return the parameters of images, with the exposures that they were made from."""
    return retrieveIngestParams(ids, context, source.framepath)


def findFit(source: Source, task: CTFTask) -> tuple[Match, CryosparcFit]:
    """Return CryoSPARC's fit of a micrograph, and by which rule it is that micrograph's.

    It is a micrograph that CryoSPARC imported, or one of the exposure whose movie it imported.

    Raises:
        NotReady: there is none yet. ImageFailure: there is none that may be taken.
    """
    origin, path = task.origin, task.params.micrograph

    def look(index: Index) -> Match:
        found = index.findMicrograph(path, origin.filename)
        return found if found is not None else index.findMovie(origin.movies, origin.exposure)

    found = source.find(origin.filename, look)
    fit, uid = found.exposure.fit, found.exposure.uid
    if fit is None:
        raise NotReady(f"CryoSPARC's exposure {uid} has no CTF yet: {found.exposure.no_fit}")
    if not fit.imported and not source.index.places.isInside(fit.micrograph.path):
        raise ImageFailure(f"CryoSPARC's exposure {uid}: {fit.micrograph.path} leads out of the project",
                           "copy the file into it")  # fmt: skip
    return found, fit


def checkReady(source: Source, task: CTFTask, settle: float) -> None:
    """Return if CryoSPARC is done with the micrograph, and both its file and Leginon's are whole.

    Raises:
        NotReady, ImageFailure, InfrastructureFailure: it is not, cannot be, or the disk does not answer.
    """
    _, fit = findFit(source, task)
    ready.checkReady(task, settle)
    if not fit.imported:
        checkSettled(fit.micrograph.path, settle)
        readMovieHeader(fit.micrograph.path)


def prepare(source: Source, task: CTFTask) -> CTFTask:
    """Return the task with what CryoSPARC found."""
    _, fit = findFit(source, task)
    return replace(task, params=replace(task.params, cryosparc=fit))


def listFolders(source: Source, session: Session) -> Sequence[str]:
    """The folder of the micrographs, and that of CryoSPARC's project."""
    return *CTFFIND_COMMAND.listSources(session), source.index.places.project


def listWarnings(source: Source, job: CTFJob) -> Sequence[str]:
    """Return a warning of what of CryoSPARC's folder is no image of the selection."""
    list(job.retrieveCandidates(0))
    return source.describeUnmatched()


def reportRun(source: Source, run: CTFRun) -> None:
    """Say at the end how good the fits are, and what was not matched."""
    reportConfidences(run)
    source.reportUnmatched()


def constructLine(source: Source, task: CTFTask, _job: CTFJob) -> dict[str, object]:
    """Return what a dry run prints: which exposure, by which rule."""
    found, fit = findFit(source, task)
    return {"exposure": found.exposure.uid, "rule": found.rule, "micrograph": fit.micrograph.path}
