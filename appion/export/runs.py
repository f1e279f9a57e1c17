"""What run folders hold: of which step they are, their rows, their numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sinedon
from appion.base.failures import ConfigurationFailure
from appion.base.records.runfolder import FOLDER
from appion.base.records.series import CTF, MOTION, STEPS
from appion.base.retrieve.series import readSeries
from appion.base.retrieve.session import readProjectsOfSession
from sinedon.models import appiondata, leginondata
from sinedon.setup import findAppionDatabase

#: Kinds of runs by the columns that only they have, their words, and the tables of the rows of this package's kinds.
COLUMNS = {
    kind: frozenset(column.name for column in columns)
    for kind, columns in (("motion", MOTION), ("CTF", CTF), *((step.name, step.columns) for step in STEPS))
}
WORDS = {"motion": "Motion correction", "CTF": "CTF estimation", **{step.name: step.words for step in STEPS}}
MODELS = {"motion": appiondata.ApDDStackRunData, "CTF": appiondata.ApAceRunData}


@dataclass(frozen=True)
class Run:
    """One run folder: `kind` is motion, CTF or the name of a step of another package, `ids` of its rows (of a step that
    has none those of its jobs) in the newest-last order, `lines` of its series.
    """

    rundir: Path
    kind: str
    name: str
    ids: tuple[int, ...]
    lines: dict[int, dict[str, Any]]


def readRuns(rundirs: Sequence[Path], projectid: int | None = None) -> list[Run]:
    """Return the runs of these folders, after the databases of their project have been set up.

    Raises:
        ConfigurationFailure: a folder is none, no database knows its run, or they are of several projects.
        sinedon.errors.ConfigurationError: the databases cannot be used.
    """
    for rundir in rundirs:
        if not rundir.is_dir():
            raise ConfigurationFailure(f"{rundir} is not a folder", "give run folders (--rundir of the programs)")
    series = [readSeries(rundir).lines for rundir in rundirs]
    sinedon.setup()
    chosen = None
    for candidate in [projectid] if projectid is not None else listProjects(rundirs, series):
        sinedon.setup(candidate)
        runs = [readRun(*each) for each in zip(rundirs, series, strict=True)]
        if all(run.ids for run in runs):
            return runs
        chosen = next(run.rundir for run in runs if not run.ids)
    if chosen is None:
        raise ConfigurationFailure(f"the session of {rundirs[0]} belongs to no project", "give --projectid=ID")
    known = any(series)
    raise ConfigurationFailure(
        f"no run in {chosen} is in the database{f' of project {projectid}' if projectid is not None else ''}",
        "its results were kept out of it by --no-commit" if known else "give the folder as it was given to --rundir,"
        " or the project by --projectid=ID",
    )  # fmt: skip


def listProjects(rundirs: Sequence[Path], series: Sequence[dict[int, Any]]) -> list[int]:
    """Return the projects that the runs may belong to, likely ones first: those of the session of an image that has a
    line, else of a session that a folder on the way to a run folder is named after. Those without a database are left
    out.
    """
    sessions: list[int] = []
    for lines, rundir in zip(series, rundirs, strict=True):
        found: Iterable[int | None]
        if lines:
            image = leginondata.AcquisitionImageData.objects.filter(def_id__in=list(lines)[:1])
            found = image.values_list("session_id", flat=True)
        else:
            names = [parent.name for parent in rundir.absolute().parents if parent.name]
            rows = leginondata.SessionData.objects.filter(name__in=names).order_by("-def_id")
            found = rows.values_list("def_id", flat=True)
        sessions += filter(None, found)
    projects = dict.fromkeys(project for session in sessions for project in readProjectsOfSession(session))
    return [project for project in projects if hasDatabase(project)]


def hasDatabase(projectid: int) -> bool:
    try:
        return bool(findAppionDatabase(projectid))
    except sinedon.errors.ConfigurationError:
        return False


def readRun(rundir: Path, lines: dict[int, dict[str, Any]]) -> Run:
    """Return the run of a folder by the rows of its path; without `ids` if there are none."""
    known = {column for line in list(lines.values())[-100:] for column in line}
    kinds = [kind for kind, columns in COLUMNS.items() if not known or columns & known]
    paths = {os.path.abspath(rundir), os.path.realpath(rundir)}
    paths |= {f"{path}/" for path in paths}
    for kind in kinds:
        model = MODELS.get(kind, appiondata.ApAppionJobData)
        rows = model.objects.filter(path__path__in=paths).order_by("def_id")
        if kind not in MODELS:
            found = [(number, rundir.absolute().name) for number in
                     rows.filter(jobtype=kind).values_list("def_id", flat=True)]  # fmt: skip
        else:
            found = list(rows.values_list("def_id", "runname" if kind == "motion" else "name"))
        if found:
            return Run(rundir, kind, found[-1][1] or "", tuple(number for number, _ in found), lines)
    return Run(rundir, kinds[0] if len(kinds) == 1 else "", "", (), lines)


def isOurs(rundir: Path) -> bool:
    """Return whether a run is one of this package, or of classic Appion."""
    return (rundir / FOLDER).is_dir()
