"""What would be run, without running it: one JSON object per micrograph, and nothing written anywhere."""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.retrieve.computed import retrieveOtherResults
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.step import Candidate
from appion.ctfestimation.calc.external import constructAnswers, constructArgv
from appion.ctfestimation.calc.internal.encoding import decodeResult
from appion.ctfestimation.records import CTFParams
from appion.ctfestimation.retrieve.params import ParamsContext, retrieveParams
from appion.ctfestimation.retrieve.ready import checkReady

log = logging.getLogger(__name__)

#: Micrographs whose parameters are read at a time.
CHUNK = 500


def printDryRun(
    context: ParamsContext,
    args: argparse.Namespace,
    retrieveCandidates: Callable[[int], Sequence[Candidate]],
    retrieveRejected: Callable[[], set[int]],
    retrieveDone: Callable[[], set[int]],
) -> None:
    """Print ``{"image_id": …, "argv": […], "answers": {…}}`` for each micrograph that would be submitted, in order.

    The names among the answers are relative to the worker's scratch folder. Micrographs that are not there yet are
    printed too; what is wrong with them goes to the log, as do those that cannot be printed.
    """
    ids = {candidate.image_id for candidate in retrieveCandidates(0)} - retrieveRejected() - retrieveDone()
    if getattr(args, "continue"):
        others = retrieveOtherResults(context.rundir, decodeResult, context.options)
        ids -= set(retrieveResultIds(context.rundir)) - others.keys()
    ordered = random.sample(sorted(ids), len(ids)) if args.shuffle else sorted(ids, reverse=True)
    for line in islice(constructLines(ordered, context), args.limit):
        print(json.dumps(line, ensure_ascii=False), flush=True)


def constructLines(ids: Sequence[int], context: ParamsContext) -> Iterator[dict[str, object]]:
    settle = setting("ctfestimation.settle")
    for start in range(0, len(ids), CHUNK):
        for image_id, params in retrieveParams(ids[start : start + CHUNK], context).items():
            if isinstance(params, Failure):
                log.warning("image %d: %s", image_id, params)
                continue
            try:
                checkReady(params, settle)
            except Failure as failure:
                log.warning("%s: %s", params.filename, failure)
            try:
                yield constructLine(params)
            except Failure as failure:
                log.warning("%s: %s", params.filename, failure)


def constructLine(params: CTFParams) -> dict[str, object]:
    """Return what is printed of one micrograph; Gctf asks nothing."""
    answers = {} if params.program.kind == "gctf" else constructAnswers(params)
    return {"image_id": params.image_id, "argv": list(constructArgv(params)), "answers": answers}
