"""Every row that any number of micrographs refer to, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sinedon
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve import micrographs
from appion.base.retrieve.instruments import readBufferPaths
from appion.base.retrieve.micrographs import readReferred
from appion.ctfestimation.retrieve.best import EarlierCTF, readBestCTFs
from appion.ctfestimation.retrieve.plausible import checkLens
from sinedon.models import appiondata, leginondata


@dataclass(frozen=True)
class Rows(micrographs.Rows):
    """With the best earlier CTF by image, and with movies as input what their paths depend on."""

    best: dict[int, EarlierCTF] = field(default_factory=dict)
    instruments: dict[int, Any] = field(default_factory=dict)
    buffer_paths: dict[tuple[int, int], str] = field(default_factory=dict)


def readMicrographs(
    ids: Sequence[int], ddstackid: int | None = None, with_best: bool = True, movies: bool = False
) -> Rows:
    """Read every row that the images refer to, and those of the exposures that they were made from.

    At most 9 queries, 2 more with `ddstackid`, or where `movies` says that their paths will be asked for.
    """
    movies = movies or ddstackid is not None
    rows = micrographs.readRows(ids)
    return Rows(
        **vars(rows),
        best=readBestCTFs(ids, rows.relatives) if with_best else {},
        instruments=readReferred(leginondata.InstrumentData, "ccdcamera", rows.cameras) if movies else {},
        buffer_paths=readBufferPaths(rows.images, rows.cameras) if movies else {},
    )


def readDDStackRun(ddstackid: int) -> None:
    """Raise ConfigurationFailure if there is no such run of motion correction."""
    if not appiondata.ApDDStackRunData.objects.filter(def_id=ddstackid).exists():
        raise ConfigurationFailure(
            f"--ddstackid={ddstackid}: this project has no such run of motion correction",
            "check --projectid, or leave --ddstackid out to use the session's images",
        )


def readCs(session_id: int, session: str) -> float:
    """Return the spherical aberration (mm) of the microscope of a session's newest microscope row.

    Raises:
        ConfigurationFailure: there is no such row, neither the microscope nor its aberration is recorded, or there is
            no such aberration.
    """
    scopes = leginondata.ScopeEMData.objects.filter(session_id=session_id).order_by("-def_id")
    found = scopes.values_list("tem_id", flat=True)[:1]
    if not found:
        raise ConfigurationFailure(f"session {session} has no microscope rows, which tell the spherical aberration",
                                   "start when the session has its first image")
    tem = sinedon.readRows(leginondata.InstrumentData, found).get(found[0] or 0)
    if tem is None and found[0]:
        raise ConfigurationFailure(f"the microscope of session {session} (id {found[0]}) is not among the instruments",
                                   "restore its row in Leginon's table InstrumentData")
    if tem is None:
        raise ConfigurationFailure(f"the microscope rows of session {session} name no microscope",
                                   "choose the microscope in Leginon")
    if tem.cs is None:
        raise ConfigurationFailure(f"the spherical aberration of microscope '{tem.name}' is not recorded",
                                   "enter it in Leginon's instrument settings")
    checkLens(tem)
    return tem.cs * 1e3
