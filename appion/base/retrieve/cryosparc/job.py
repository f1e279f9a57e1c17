"""A job's folder (``J12``): its results as job.json tells them, and the tables that hold them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve.access import readFile
from appion.base.retrieve.cryosparc.arrays import readTable
from appion.base.retrieve.cryosparc.places import Places
from appion.base.retrieve.cryosparc.rows import RawExposure, Tables

#: The file that tells of a job.
JOB = "job.json"

#: Bytes of it that are believed.
MAX_JSON = 1 << 28

#: Slots of which a group of results has one at least if it is of exposures.
SLOTS = frozenset({"movie_blob", "micrograph_blob", "ctf"})

#: Words for what a job has not got, by what is missing.
NO_SUMS = "the job has made no micrograph of it"
NO_FIT = "the job has estimated no CTF of it"


def readJob(folder: str, places: Places) -> tuple[list[RawExposure], str, list[str]]:
    """Return the exposures of a job's results, the version of CryoSPARC, and the files that were read.

    Raises:
        NotReady: it has not ended yet, or a file is still being written.
        ImageFailure: its files cannot be what they should be. InfrastructureFailure: the disk does not answer.
    """
    document = readDocument(os.path.join(folder, JOB))
    status = document.get("status")
    if status != "completed":
        raise NotReady(f"{folder}: the job is {str(status)[:40]}, its results are read when it is completed")
    tables, files = Tables(), [os.path.join(folder, JOB)]
    for path in listTables(document, places):
        tables.add(readTable(path))
        files.append(path)
    if not files[1:]:
        raise ImageFailure(f"{folder}: the job has no results of exposures", "give a job of motion correction or CTF")
    exposures = [
        RawExposure(uid, partial(tables.read, uid), no_motion=NO_SUMS, no_fit=NO_FIT) for uid in tables.uids
    ]
    return exposures, str(document.get("version") or ""), files


def readDocument(path: str) -> dict[str, Any]:
    """Return what a JSON file holds. Raises NotReady: it is not whole; ImageFailure: it is not what it should be."""
    with readFile(path):
        if os.stat(path).st_size > MAX_JSON:
            raise ImageFailure(f"{path}: larger than any such file is")
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotReady(f"{path} cannot be read: {error}", "still being written?") from error
    if not isinstance(document, dict):
        raise ImageFailure(f"{path} does not tell of a job")
    return document


def listTables(document: dict[str, Any], places: Places) -> Iterator[str]:
    """Yield the paths of the tables of exposures, those of the job itself before what it passes through.

    A job with several rounds lists a table for each: that of the highest version counts.
    """
    results = [one for one in document.get("output_results") or () if isinstance(one, dict)]
    groups = {one.get("group_name") for one in results if one.get("name") in SLOTS}
    chosen: dict[str, None] = {}
    for one in sorted(results, key=lambda one: bool(one.get("passthrough"))):
        files, versions = one.get("metafiles") or [], one.get("versions") or []
        if one.get("group_name") not in groups or not isinstance(files, list) or not files:
            continue
        whole = len(versions) == len(files) and all(isinstance(version, int) for version in versions)
        order = versions if whole else range(len(files))
        name = files[max(range(len(files)), key=order.__getitem__)]
        if isinstance(name, str) and (path := places.join(name)):
            chosen[path] = None
    for path in chosen:
        if not places.isInside(path):
            raise ImageFailure(f"{path} leads out of the project {places.project}")
        yield path
