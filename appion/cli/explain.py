"""`appion explain`: what happened to one exposure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appion.base.cli.screen import show
from appion.base.retrieve.status import readStatus
from appion.base.retrieve.story import (
    describeAttempt,
    describeEvent,
    describeFiles,
    describeNumbers,
    describeRecord,
    findImage,
    readStory,
)
from appion.base.store.scratch import calcScratchRoot, readOwner


def explainImage(rundir: Path, image: str) -> int:
    """Print events, numbers, failures, journal record and files of one exposure, in that order.

    Raises:
        ConfigurationFailure: the run never had to do with such an exposure.
    """
    readStatus(rundir)
    image_id, name = findImage(rundir, image)
    lines = [f"{name or 'unnamed'}, image {image_id}", "", "What happened:"]
    lines += [describeEvent(event) for event in readStory(rundir, image_id)] or ["  (no events)"]
    for part, found in (
        ("Numbers:", describeNumbers(rundir, image_id)),
        ("Failure that is remembered:", describeAttempt(rundir, image_id)),
        ("Result in the journal:", describeRecord(rundir, image_id)),
        ("Scratch folders:", describeScratch(rundir, image_id)),
        ("Files in the run folder:", describeFiles(rundir, name)),
    ):
        content = list(found)
        if content:
            lines += ["", part, *content]
    show(*lines)
    return 0


def describeScratch(rundir: Path, image_id: int) -> Iterator[str]:
    """Where it is worked on now, or was when a worker was lost."""
    for scratch in sorted(calcScratchRoot(rundir).glob(f"{image_id}-*")):
        try:
            owner = readOwner(scratch)
            yield f"  {scratch}: process {owner['pid']} on {owner['host']}"
        except (OSError, ValueError, KeyError):
            yield f"  {scratch}"
