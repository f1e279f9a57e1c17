"""Finding a session by its name, and the runs of it in the Appion databases of its projects."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

import sinedon
from appion.base.retrieve.runs import CTF, KINDS, MOTION, WORDS, Run, listDatabases, selectRuns
from appion.base.retrieve.session import Session, readProjectsOfSession
from sinedon.models import leginondata


@dataclass(frozen=True)
class View:
    """What a session page shows together: the session, a motion run, a CTF run, and one of each further step.

    `runs` are all that there are, the newest of each kind first.
    """

    session: Session
    project: int | None
    motion: Run | None
    ctf: Run | None
    further: tuple[Run, ...] = ()
    runs: tuple[Run, ...] = ()

    @property
    def shown(self) -> tuple[Run, ...]:
        """The runs that are shown."""
        return tuple(run for run in (self.motion, self.ctf, *self.further) if run)

    @property
    def choices(self) -> list[tuple[str, str, list[Run], Run | None]]:
        """Kind, words, all runs, and the run that is shown, of each kind that there is anything to choose of."""
        shown = {run.kind: run for run in self.shown}
        found = [(kind, WORDS[kind], [run for run in self.runs if run.kind == kind], shown.get(kind)) for kind in KINDS]
        return [one for one in found if one[0] in (MOTION, CTF) or one[2]]

    @property
    def query(self) -> str:
        """The words behind the ? of an address that shows the same runs."""
        parts = [f"project={self.project}"] if self.project else []
        parts += [f"{run.kind}={run.def_id}" for run in self.shown]
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
        wanted: ids of a ``project`` and of runs by their kind, as far as they are asked for; 0: none of it.

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
                  for kind in KINDS}  # fmt: skip
        if any(wanted.get(kind) and not found for kind, found in chosen.items()):
            continue
        if runs:
            motion, ctf, *further = (next(iter(chosen[kind]), None) for kind in KINDS)
            return View(session, project, motion, ctf, tuple(filter(None, further)), tuple(runs))
    asked = any(wanted.get(kind) for kind in KINDS)
    return None if asked else View(session, None, None, None)


def readRuns(alias: str, session_id: int) -> list[Run]:
    """Return the runs of a session, the newest first: two queries, three where there are steps of other packages."""
    return selectRuns(alias, Q(session_id=session_id))
