"""The Leginon session that a run belongs to, and its project."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import sinedon
from appion.base.failures import ConfigurationFailure
from sinedon.models import leginondata, projectdata

logger = logging.getLogger(__name__)

#: File suffixes that may follow an image name in --mrclist.
IMAGE_SUFFIXES = (".mrc", ".box", ".pos", ".star")


@dataclass(frozen=True)
class Session:
    """A Leginon session.

    Attributes:
        def_id, name: of its `SessionData` row.
        image_path: folder of its images.
        frame_path: folder of its movies as the row has it, or empty.
        projectids: the projects that it is recorded in, the newest record first.
    """

    def_id: int
    name: str
    image_path: str
    frame_path: str
    projectids: tuple[int, ...] = ()

    @property
    def projectid(self) -> int | None:
        """The project of its newest record, as classic has it; None if there is none."""
        return self.projectids[0] if self.projectids else None


def readImageNames(mrcnames: str | None) -> tuple[str, ...]:
    """Return the image names of ``--mrclist``: without folder and suffix, each once, in the order given."""
    names = []
    for item in (mrcnames or "").split(","):
        name = os.path.basename(item.strip())
        for suffix in IMAGE_SUFFIXES:
            name = name.removesuffix(suffix)
        if name:
            names.append(name)
    return tuple(dict.fromkeys(names))


def readSession(args: argparse.Namespace) -> Session:
    """Return the session of ``--session``, ``--expid`` or the images of ``--mrclist``.

    The newest session of a name counts, unless ``--expid`` names one of several.

    Raises:
        ConfigurationFailure: there is no such session, or the options name two.
    """
    if args.sessionname:
        row = readSessionByName(args.sessionname, args.expid)
    elif args.expid is not None:
        row = readSessionById(args.expid)
    else:
        row = readSessionById(readSessionOfImages(readImageNames(args.mrcnames)))
    return Session(row.def_id, row.name, row.image_path or "", row.frame_path or "", readProjectsOfSession(row.def_id))


def readSessionById(session_id: int) -> leginondata.SessionData:
    row = leginondata.SessionData.objects.filter(def_id=session_id).first()
    if row is None:
        raise ConfigurationFailure(f"--expid={session_id}: there is no session with this id", "use --session=NAME")
    return row


def readSessionByName(name: str, session_id: int | None = None) -> leginondata.SessionData:
    """Return the newest session of this name; with an id the one of them that has it, if there is any session with it.

    Raises:
        ConfigurationFailure: there is no session of this name, or that with the id has another.
    """
    rows = leginondata.SessionData.objects.filter(name=name).order_by("-def_id")
    row = rows.first()
    if row is None:
        newest = leginondata.SessionData.objects.order_by("-def_id").values_list("name", flat=True)[:5]
        raise ConfigurationFailure(f"--session={name}: there is no session of this name",
                                   f"the newest are {', '.join(str(other) for other in newest) or 'none'}")
    if session_id in (None, row.def_id):
        return row
    other = leginondata.SessionData.objects.filter(def_id=session_id).first()
    if other is None:
        logger.warning("--expid=%s: there is no session with this id; --session=%s counts", session_id, name)
        return row
    if other.name.lower() != name.lower():
        raise ConfigurationFailure(f"--session={name} and --expid={session_id} disagree: session {session_id} is named "
                                   f"'{other.name}'", "give one of them")
    return other


def readSessionOfImages(names: Sequence[str]) -> int:
    found = leginondata.AcquisitionImageData.objects.filter(filename__in=names).values_list("session_id", "filename")
    sessions = {session_id for session_id, _ in found if session_id}
    if len(sessions) != 1:
        what, remedy = f"the images are of {len(sessions)} sessions", "add --session=NAME"
        if not sessions:
            what, remedy = "none of these images exists", "give the names of Leginon's images"
        raise ConfigurationFailure(f"--mrclist={','.join(names)}: {what}", remedy)
    return sessions.pop()


def readProjectsOfSession(session_id: int) -> tuple[int, ...]:
    """Return the ids of the session's projects by its `projectexperiments` rows, the newest first, each once."""
    rows = projectdata.projectexperiments.objects.filter(session_id=session_id).order_by("-def_id")
    return tuple(dict.fromkeys(filter(None, rows.values_list("project_id", flat=True))))


def setupProject(args: argparse.Namespace, session: Session) -> int:
    """Choose the project, fill in ``args.projectid`` and connect to its Appion database.

    Raises:
        ConfigurationFailure: ``--projectid`` is none of the session's projects; or it is not given, and the session has
            none or several.
        sinedon.errors.ConfigurationError: the project has no Appion database.
    """
    if args.projectid is None:
        if session.projectid is None:
            raise ConfigurationFailure(f"session {session.name} belongs to no project", "give --projectid=ID")
        if len(session.projectids) > 1:
            raise ConfigurationFailure(f"session {session.name} belongs to projects {listProjects(session)}",
                                       "say with --projectid=ID in which one the results are to be stored")
        args.projectid = session.projectid
        logger.info("project %d, that of session %s (no --projectid given)", args.projectid, session.name)
    elif session.projectids and args.projectid not in session.projectids:
        several = "s" * (len(session.projectids) > 1)
        raise ConfigurationFailure(f"--projectid={args.projectid}: session {session.name} belongs to project{several} "
                                   f"{listProjects(session)}", f"use --projectid={session.projectid}")
    sinedon.setup(args.projectid)
    return args.projectid


def listProjects(session: Session) -> str:
    """Return the ids of the session's projects in words."""
    return " and ".join(map(str, sorted(session.projectids)))


def isSessionDone(session_id: int) -> bool:
    """Return whether the session has been declared finished, as its newest `SessionDoneLog` row says."""
    rows = leginondata.SessionDoneLog.objects.filter(session_id=session_id).order_by("-def_id")
    return bool(rows.values_list("done", flat=True).first())
