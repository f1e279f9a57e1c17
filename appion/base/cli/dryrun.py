"""What would be run, without running it: one JSON object per image, and nothing written anywhere."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from itertools import islice

from appion.base.calc.plain import formatJson
from appion.base.cli.job import Command, J, R
from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.records.ids import Ids
from appion.base.retrieve.computed import retrieveOtherResults
from appion.base.retrieve.journal import retrieveResultIds

log = logging.getLogger(__name__)

#: Images whose parameters are read at a time.
CHUNK = 500


def printDryRun(command: Command[J, R], job: J) -> None:
    """Print ``{"image_id": …, "argv": […], …}`` for each image that would be submitted, in order.

    The command line is that of the worker: it runs in a scratch folder, where its relative names are. Images whose
    files are not there yet are printed too; what is wrong with them goes to the log, as do those that cannot be
    printed.
    """
    for line in islice(constructLines(command, job, chooseImages(command, job)), job.args.limit):
        print(formatJson(line, ensure_ascii=False), flush=True)


def chooseImages(command: Command[J, R], job: J) -> list[int]:
    """Return the ids of the images that are left to do, in the order in which they would be submitted."""
    ids = Ids(candidate.image_id for candidate in job.retrieveCandidates(0)) - job.retrieveRejected()
    if getattr(job.args, "continue"):
        ids -= command.retrieveDone(job, command.findRun(job))
        rundir = job.context.rundir
        others = retrieveOtherResults(
            rundir, command.decodeOptions, job.context.options, command.indifferent, job.context.program,
            setting("strict_versions"),
        )  # fmt: skip
        ids -= set(retrieveResultIds(rundir)) - others.keys()
    if job.args.shuffle:
        return random.sample(sorted(ids), len(ids))
    return sorted(ids, reverse=True)


def constructLines(command: Command[J, R], job: J, ids: Sequence[int]) -> Iterator[dict[str, object]]:
    settle = command.readSetting("settle")
    for start in range(0, len(ids), CHUNK):
        for image_id, task in command.retrieveParams(ids[start : start + CHUNK], job.context).items():
            if isinstance(task, Failure):
                log.warning("image %d: %s", image_id, task)
                continue
            try:
                command.checkReady(task, settle)
            except Failure as failure:
                log.warning("%s: %s", task.origin.filename, failure)
            try:
                yield {"image_id": image_id, **command.constructLine(task, job)}
            except Failure as failure:
                log.warning("%s: %s", task.origin.filename, failure)
