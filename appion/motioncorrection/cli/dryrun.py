"""What would be run, without running it: one JSON object per exposure, and nothing written anywhere."""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.retrieve.computed import retrieveOtherResults
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.session import Session
from appion.base.step import Candidate
from appion.motioncorrection.calc.external.command import (
    INTFILE,
    constructInputName,
    constructIntFile,
    constructMotionCorCmd,
    constructOutputName,
    isWeighted,
)
from appion.motioncorrection.calc.internal.encoding import decodeResult
from appion.motioncorrection.records import INDIFFERENT_OPTIONS, MotionCorrectionParams
from appion.motioncorrection.retrieve.done import findStackRun, retrieveDone
from appion.motioncorrection.retrieve.params import ParamsContext, retrieveParams
from appion.motioncorrection.retrieve.ready import checkReady
from appion.motioncorrection.store.names import constructAlignedName
from appion.motioncorrection.store.references import constructReferenceNames

log = logging.getLogger(__name__)

#: Exposures whose parameters are read at a time.
CHUNK = 500


def printDryRun(
    context: ParamsContext,
    session: Session,
    args: argparse.Namespace,
    retrieveCandidates: Callable[[int], Sequence[Candidate]],
    retrieveRejected: Callable[[], set[int]],
) -> None:
    """Print ``{"image_id": …, "argv": […], "outputs": […]}`` for each exposure that would be submitted, in order.

    The command line is that of the worker: it runs in a scratch folder, where its relative names are. Exposures whose
    movie or gain reference is not there yet are printed too; what is wrong with them goes to the log, as do exposures
    that cannot be printed.
    """
    ids = chooseExposures(context, session, args, retrieveCandidates, retrieveRejected)
    lines = constructLines(ids, context, args.commit, setting("motioncorrection.settle"))
    for line in islice(lines, args.limit):
        print(json.dumps(line, ensure_ascii=False), flush=True)


def chooseExposures(
    context: ParamsContext,
    session: Session,
    args: argparse.Namespace,
    retrieveCandidates: Callable[[int], Sequence[Candidate]],
    retrieveRejected: Callable[[], set[int]],
) -> list[int]:
    """Return the ids of the exposures that are left to do, in the order in which they would be submitted."""
    ids = {candidate.image_id for candidate in retrieveCandidates(0)} - retrieveRejected()
    if getattr(args, "continue"):
        run_id = findStackRun(
            session.def_id, args.runname, args.rundir, args.preset, args.align, context.options.bin
        )
        ids -= retrieveDone(run_id, session.def_id, context.options)
        others = retrieveOtherResults(context.rundir, decodeResult, context.options, INDIFFERENT_OPTIONS)
        ids -= set(retrieveResultIds(context.rundir)) - others.keys()
    if args.shuffle:
        return random.sample(sorted(ids), len(ids))
    return sorted(ids, reverse=True)


def constructLines(
    ids: Sequence[int], context: ParamsContext, commit: bool, settle: float
) -> Iterator[dict[str, object]]:
    for start in range(0, len(ids), CHUNK):
        for image_id, params in retrieveParams(ids[start : start + CHUNK], context).items():
            if isinstance(params, Failure):
                log.warning("image %d: %s", image_id, params)
                continue
            try:
                yield constructLine(params, commit, settle)
            except Failure as failure:
                log.warning("%s: %s", params.filename, failure)


def constructLine(params: MotionCorrectionParams, commit: bool, settle: float) -> dict[str, object]:
    try:
        checkReady(params, settle)
    except Failure as failure:
        log.warning("%s: %s", params.filename, failure)
    try:
        params = constructReferenceNames(params)
    except Failure as failure:
        log.warning("%s: %s", params.filename, failure)
        params = replace(constructReferenceNames(replace(params, gain="")), gain=params.gain)
    argv = constructMotionCorCmd(
        params, constructInputName(params), constructOutputName(params), INTFILE if constructIntFile(params) else ""
    )
    return {"image_id": params.image_id, "argv": argv, "outputs": constructOutputs(params, commit)}


def constructOutputs(params: MotionCorrectionParams, commit: bool) -> list[str]:
    """Return the files that would stay: the sums among the session's images, or in the run folder, and both logs."""
    labels = [params.options.alignlabel] + [f"{params.options.alignlabel}-DW"] * isWeighted(params)
    if commit:
        folder = Path(params.image_path)
        names = [
            constructAlignedName(params.filename, params.preset, label, lambda name: (folder / f"{name}.mrc").exists())
            for label in labels
        ]
        sums = [str(folder / f"{name}.mrc") for name in names]
    else:
        sums = [f"{params.rundir}/{params.filename}{end}.mrc" for end in ("_c", "_c-DW")[: len(labels)]]
    return sums + [f"{params.rundir}/{params.filename}_st_Log{end}.txt" for end in ("", ".motioncor2")]
