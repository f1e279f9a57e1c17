"""The folder of a Live session (``S3``): exposures.bson, which has all that is known of each exposure."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve.access import readFile
from appion.base.retrieve.cryosparc.rows import RawExposure, readNested, unwrap

#: The file that tells of a session.
SESSION = "exposures.bson"

#: Stages of an exposure that come before its micrograph, and before its CTF; all others come after.
BEFORE_SUMS = ("found", "check", "motion")
BEFORE_FIT = (*BEFORE_SUMS, "ctf")

#: Why nothing is taken of an exposure, by what is set of it.
REFUSALS = {"deleted": "it was deleted in CryoSPARC", "test": "it is one of CryoSPARC's tests"}

OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_MS
)


def readSession(folder: str) -> tuple[list[RawExposure], str, list[str]]:
    """Return the exposures of a session, the version of CryoSPARC (not told) and the file that was read.

    Raises:
        NotReady: the file is not there or not whole. ImageFailure: it is not what it should be.
        InfrastructureFailure: the disk does not answer.
    """
    path = os.path.join(folder, SESSION)
    exposures = readDocument(path).get("exposures")
    if not isinstance(exposures, list):
        raise ImageFailure(f"{path} has no list of exposures")
    return [constructRaw(one) for one in exposures if isinstance(one, dict) and getUid(one) is not None], "", [path]


def readDocument(path: str) -> dict[str, Any]:
    """Return the first document of a BSON file; raises as :func:`readSession`."""
    with readFile(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ImageFailure(f"{path}: is no file")
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(4)
            length = int.from_bytes(head, "little", signed=True)
            if len(head) < 4 or 5 <= size < length:
                raise NotReady(f"{path}: {size} bytes instead of {length}", "still being written?")
            if length < 5:
                raise ImageFailure(f"{path} is no BSON document")
            data = head + file.read(length - 4)
    try:
        return bson.decode(data, OPTIONS)
    except (bson.errors.BSONError, ValueError, OverflowError, RecursionError) as error:
        raise NotReady(f"{path} cannot be read: {str(error)[:200]}", "still being written?") from error


def getUid(document: dict[str, Any]) -> int | None:
    uid = document.get("uid")
    return int(uid) if isinstance(uid, int) and not isinstance(uid, bool) else None


def constructRaw(document: dict[str, Any]) -> RawExposure:
    """Return one exposure of the list."""
    stage = str(unwrap(document.get("stage")) or "")
    refused = next((words for key, words in REFUSALS.items() if unwrap(document.get(key)) is True), "")
    if not refused and unwrap(document.get("failed")) is True:
        refused = f"it failed in CryoSPARC: {str(unwrap(document.get('fail_reason')) or 'no reason is told')[:300]}"
    group = readNested(document, "groups/exposure")
    early, distance = f"CryoSPARC is at its stage {stage[:40]!r}", readNested(document, "attributes/total_motion_dist")
    original = unwrap(document.get("abs_file_path"))
    return RawExposure(
        uid=getUid(document) or 0,
        read=partial(_read, group if isinstance(group, dict) else {}, stage),
        original=original if isinstance(original, str) else "",
        refused=refused,
        no_motion=early,
        no_fit=early,
        distance=float(distance) if isinstance(distance, int | float) and distance else None,
    )


def _read(group: dict[str, Any], stage: str, name: str) -> Any:
    """Return a value; what later stages set is not there yet, whatever default stands in its place."""
    slot = name.partition("/")[0]
    if stage in BEFORE_SUMS and slot != "movie_blob":
        return None
    if stage in BEFORE_FIT and slot in ("ctf", "ctf_stats"):
        return None
    return readNested(group, name)
