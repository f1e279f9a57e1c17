"""Finding a session by its name, and the runs of it in the Appion databases of its projects."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

import sinedon
from appion.base.retrieve.runs import CTF, MOTION, Run, listDatabases, selectRuns
from appion.base.retrieve.session import Session, readProjectsOfSession
from sinedon.models import leginondata


@dataclass(frozen=True)
class View:
    """What a session page shows together: the session, a motion run and a CTF run, and which others there are."""

    session: Session
    project: int | None
    motion: Run | None
    ctf: Run | None
    runs: tuple[Run, ...] = ()

    @property
    def query(self) -> str:
        """The words behind the ? of an address that shows the same runs."""
        parts = [f"project={self.project}"] if self.project else []
        parts += [f"{kind}={run.def_id}" for kind, run in ((MOTION, self.motion), (CTF, self.ctf)) if run]
        return "&".join(parts)


def readSession(name: str) -> Session | None:
    """Return the newest session of this name and its projects; None if there is none."""
    columns = ("def_id", "name", "image_path", "frame_path")
    row = leginondata.SessionData.objects.filter(name=name).order_by("-def_id").values_list(*columns).first()
    if row is None:
        return None
    def_id, found, image_path, frame_path = row
    return Session(def_id, found, image_path or "", frame_path or "", readProjectsOfSession(def_id))


def readView(session: Session, wanted: dict[str, int]) -> View | None:
    """Return what a page of a session shows: the runs that are asked for by id, else the newest of each kind.

    Args:
        wanted: ids of a ``project``, a ``motion`` run and a ``ctf`` run, as far as they are asked for; 0: none of it.

    Returns None if a run that is asked for is none of the session's, or the project none of its projects.
    """
    databases = listDatabases()
    projects = [one for one in session.projectids if wanted.get("project", one) == one]
    if "project" in wanted and not projects:
        return None
    for project in projects:
        if project not in databases:
            continue
        runs = readRuns(sinedon.addAppionDatabase(databases[project], keep=0), session.def_id)
        chosen = {kind: [run for run in runs if run.kind == kind and wanted.get(kind, run.def_id) == run.def_id]
                  for kind in (MOTION, CTF)}  # fmt: skip
        if any(wanted.get(kind) and not found for kind, found in chosen.items()):
            continue
        if runs:
            motion, ctf = (next(iter(chosen[kind]), None) for kind in (MOTION, CTF))
            return View(session, project, motion, ctf, tuple(runs))
    asked = any(wanted.get(kind) for kind in (MOTION, CTF))
    return None if asked else View(session, None, None, None)


def readRuns(alias: str, session_id: int) -> list[Run]:
    """Return the runs of a session, the newest first: two queries."""
    return selectRuns(alias, Q(session_id=session_id))
