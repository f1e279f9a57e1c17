"""Sums on their way from the run folder to the session's images: names chosen once, files placed, leftovers removed."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from appion.base.failures import ImageFailure
from appion.base.store.files import placeFile
from appion.motioncorrection.records import ComputedCorrection, MotionCorrectionOrigin
from appion.motioncorrection.store.names import constructAlignedName


@dataclass(frozen=True)
class Sum:
    """One output of an exposure.

    Attributes:
        label: what its preset is called after: ``a``, or ``a-DW`` for the dose-weighted sum.
        file: where the worker left it, in the run folder.
        name: under which it is stored, without directory and extension; empty while it is not chosen.
        image_id: its image row, where an attempt that the journal does not know of has written one.
        anew: whether no run has any result of the exposure and no attempt has written rows of this one, so that none
            have to be looked for.
    """

    label: str
    file: str
    name: str = ""
    image_id: int | None = None
    anew: bool = False


def constructSums(computed: ComputedCorrection) -> tuple[Sum, ...]:
    """Return the sums of a result, plain before weighted, with the names that were chosen for them earlier, if any."""
    result, stored = computed.result, computed.origin.stored_names
    label = result.params.options.alignlabel
    files = (label, result.sum_file), (f"{label}-DW", result.dw_file)
    sums = [Sum(what, file) for what, file in files if file]
    names = stored if len(stored) == len(sums) else [""] * len(sums)
    return tuple(replace(item, name=name) for item, name in zip(sums, names, strict=True))


def constructTarget(origin: MotionCorrectionOrigin, name: str) -> str:
    """Return the path of an aligned image in the session's image folder."""
    return os.path.join(origin.image_path, f"{name}.mrc")


def chooseName(
    origin: MotionCorrectionOrigin, item: Sum, mine: Mapping[str, int], others: Collection[str]
) -> Sum:
    """Return a sum with the name under which it is stored.

    Args:
        item: the sum; a name that it has stays.
        mine: names and image ids of the results that this run has of the exposure; one that fits is used again.
        others: names, in lower case, of other runs' results. They stay theirs when their files are elsewhere, and MySQL
            takes names that differ in case only for the same.
    """
    if item.name:
        return replace(item, image_id=mine.get(item.name))

    def isTaken(name: str) -> bool:
        target = constructTarget(origin, name)
        return name.lower() in others or (os.path.lexists(target) and not isSameFile(item.file, target))

    own = findOwnName(origin, item, mine)
    if own:
        return replace(item, name=own, image_id=mine[own])
    return replace(item, name=constructAlignedName(origin.filename, origin.preset, item.label, isTaken))


def findOwnName(origin: MotionCorrectionOrigin, item: Sum, mine: Collection[str]) -> str:
    """Return which of a run's names of this exposure is one of the sum's kind (plain or weighted), or an empty text."""
    first = constructAlignedName(origin.filename, origin.preset, item.label, lambda _name: False)
    return next((name for name in mine if re.fullmatch(re.escape(first) + r"(_v\d\d+)?", name)), "")


def isSameFile(file: str, other: str) -> bool:
    """Return whether both names are links to one file; False if either is missing."""
    try:
        return os.path.samefile(file, other)
    except FileNotFoundError:
        return False


def placeSum(origin: MotionCorrectionOrigin, item: Sum) -> None:
    """Make a sum visible among the session's images, as a hard link or, on another device, a copy.

    Repeating it is harmless, also after the file in the run folder has been removed.

    Raises:
        FileExistsError: the name belongs to another file, which is left alone.
        ImageFailure: the sum is neither in the run folder nor in its place.
        OSError: as the system gives it.
    """
    target = constructTarget(origin, item.name)
    with contextlib.suppress(FileExistsError):
        os.mkdir(origin.image_path)  # not what it lies in: without that its file system is away
    if os.path.exists(item.file):
        placeFile(item.file, target)
    elif not os.path.exists(target):
        raise ImageFailure(
            f"{item.file} was computed but is gone, and {target} is not there", "the exposure has to be computed again"
        )


def removeLeftovers(origin: MotionCorrectionOrigin, sums: tuple[Sum, ...]) -> None:
    """Remove what an attempt that died while copying left beside the targets."""
    for item in sums:
        for path in glob.glob(os.path.join(glob.escape(origin.image_path), f".{glob.escape(item.name[:120])}*.tmp")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def removeSums(sums: tuple[Sum, ...]) -> None:
    """Remove the sums from the run folder; their links among the session's images stay."""
    for item in sums:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(item.file)
