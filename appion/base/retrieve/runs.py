"""The runs that Appion databases know, and those of them that may be alive."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.db.utils import Error as DatabaseError

import sinedon
from appion.base.records.series import STEPS
from sinedon.models import appiondata, leginondata, projectdata

logger = logging.getLogger(__name__)

#: The kinds of runs: those of this package, and the steps of others by their names; and their words.
MOTION, CTF = "motion", "ctf"
WORDS = {MOTION: "motion correction", CTF: "CTF", **{step.name: step.words for step in STEPS}}
KINDS = tuple(WORDS)

#: What can be the name of a database.
DATABASE = re.compile(r"[\w$-]{1,64}", re.ASCII)

#: Hours for which a run that ended is shown.
SHOWN = 24

#: Status of a job that runs, or waits to.
ALIVE = ("R", "Q")


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


def listDatabases() -> dict[int, str]:
    """Return the name of each project's Appion database: that of its newest record."""
    rows = projectdata.processingdb.objects.exclude(appiondb=None).order_by("def_id")
    return {project: name for project, name in rows.values_list("project_id", "appiondb")
            if project and DATABASE.fullmatch(name)}  # fmt: skip


def listAlive() -> tuple[list[Run], list[str]]:
    """Return the runs of all Appion databases that may be alive, and what cannot be read.

    Five queries for each, six with steps of other packages.
    """
    runs, problems = list[Run](), list[str]()
    for name in sorted(set(listDatabases().values())):
        try:
            runs += selectAlive(sinedon.addAppionDatabase(name, keep=0))
        except (sinedon.errors.SinedonError, DatabaseError) as error:
            logger.warning("%s", error)
            problems.append(f"database {name} cannot be read")
    return runs, problems


def selectAlive(alias: str) -> list[Run]:
    """Return the runs whose jobs run, or changed of late, and those that were begun of late."""
    since = datetime.now() - timedelta(hours=SHOWN)
    jobs = appiondata.ApAppionJobData.objects.using(alias).filter(Q(status__in=ALIVE) | Q(def_timestamp__gte=since))
    paths = set(jobs.exclude(path=None).values_list("path_id", flat=True))
    return selectRuns(alias, Q(def_timestamp__gte=since) | Q(path_id__in=paths))


def selectRuns(alias: str, where: Q) -> list[Run]:
    """Return the runs whose rows meet a condition, the newest first: two queries, three where others bring steps."""
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


def readSessions(ids: set[int]) -> dict[int, tuple[str, str]]:
    """Return names and microscopes of sessions: that of the session's row, or the newest preset's."""
    rows = leginondata.SessionData.objects.filter(def_id__in=ids)
    found = {def_id: (name or "", microscope or "")
             for def_id, name, microscope in rows.values_list("def_id", "name", "instrument__name")}  # fmt: skip
    without = [def_id for def_id, (_, microscope) in found.items() if not microscope]
    presets = leginondata.PresetData.objects.filter(session_id__in=without).order_by("def_id")
    for session_id, microscope in presets.values_list("session_id", "tem__name"):
        found[session_id] = (found[session_id][0], microscope or found[session_id][1])
    return found
