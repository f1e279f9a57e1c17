"""Finding a session by its name, and the runs of it in the Appion databases of its projects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

import sinedon
from appion.base.records.series import STEPS
from appion.base.retrieve.session import Session, readProjectsOfSession
from sinedon.models import appiondata, leginondata, projectdata

#: The kinds of runs that pages show: those of this package, and the steps of others by their names; and their words.
MOTION, CTF = "motion", "ctf"
WORDS = {MOTION: "motion correction", CTF: "CTF", **{step.name: step.words for step in STEPS}}
KINDS = tuple(WORDS)

#: What can be the name of a database.
DATABASE = re.compile(r"[\w$-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Run:
    """A run of a session, as its row has it.

    Attributes:
        kind: one of KINDS. alias: of the Appion database. def_id: of its row there; of a step without one, its job's.
        folder: the run folder; empty if it has none. preset: of the exposures of a motion run, or empty.
        made: when the row was written, by the database's clock.
    """

    kind: str
    alias: str
    def_id: int
    name: str
    folder: str
    session_id: int
    preset: str = ""
    made: datetime | None = None


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


def listDatabases() -> dict[int, str]:
    """Return the name of each project's Appion database: that of its newest record."""
    rows = projectdata.processingdb.objects.exclude(appiondb=None).order_by("def_id")
    return {project: name for project, name in rows.values_list("project_id", "appiondb")
            if project and DATABASE.fullmatch(name)}  # fmt: skip


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


def selectRuns(alias: str, where: Q) -> list[Run]:
    """Return the runs whose rows meet a condition, the newest first: as many queries as :func:`readRuns`."""
    columns = ("def_id", "{}", "path__path", "session_id", "def_timestamp")
    motion = appiondata.ApDDStackRunData.objects.using(alias).filter(where, params__align=True)
    ctf = appiondata.ApAceRunData.objects.using(alias).filter(where).exclude(hidden=True)
    found = [Run(MOTION, alias, def_id, name or "", path or "", session or 0, preset or "", made)
             for def_id, name, path, session, made, preset in
             motion.order_by("-def_id").values_list(*(one.format("runname") for one in columns), "params__preset")]
    found += [Run(CTF, alias, def_id, name or "", path or "", session or 0, "", made)
              for def_id, name, path, session, made in
              ctf.order_by("-def_id").values_list(*(one.format("name") for one in columns))]  # fmt: skip
    return [*found, *selectJobs(alias, where)] if STEPS else found


def selectJobs(alias: str, where: Q) -> Iterable[Run]:
    """Return the runs of steps of other packages, which have no row but that of their job: the newest of each folder.

    A run is named as its folder.
    """
    rows = appiondata.ApAppionJobData.objects.using(alias).filter(where, jobtype__in=[step.name for step in STEPS])
    found: dict[tuple[str, str], Run] = {}
    columns = ("def_id", "jobtype", "path__path", "session_id", "def_timestamp")
    for def_id, kind, path, session, made in rows.order_by("-def_id").values_list(*columns):
        run = Run(kind, alias, def_id, os.path.basename(path or ""), path or "", session or 0, "", made)
        found.setdefault((kind, run.folder), run)
    return found.values()
