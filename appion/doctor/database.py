"""The databases: reachable, how old, complete; the clock of their server; the folder of the newest session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from django.db import connections

import sinedon
from appion.base.store.rights import CHANGED, WRITTEN
from appion.ctfestimation.store import run as ctfestimation
from appion.doctor.finding import NOTE, TODO, WELL, Finding
from appion.doctor.folder import checkFolder
from appion.motioncorrection.store import rows as motioncorrection
from sinedon.check import describeNote, describeTask, isIndispensable
from sinedon.config import readConfig
from sinedon.models import leginondata, projectdata
from sinedon.rights import findRefusals
from sinedon.schema import listMissing
from sinedon.setup import findAppionDatabase, openAppionDatabase

#: Seconds that two clocks may differ.
CLOCK = 5.0


def checkDatabases(projectid: int | None) -> Iterator[Finding]:
    """Look at the Leginon and project databases and at the Appion database of a project (default: the newest).

    Raises:
        sinedon.errors.ConfigurationError: a setting is wrong, or a database cannot be reached.
    """
    sinedon.setup()
    yield from describeDatabase("leginondata")
    yield from describeDatabase("projectdata")
    yield checkClock()
    projectid = findNewestProject() if projectid is None else projectid
    if projectid is None:
        remedy = "make one on the project's web page, or: sinedon init --project N --appiondb NAME"
        yield Finding(TODO, "database", "no project has an Appion database", remedy)
        return
    openAppionDatabase(findAppionDatabase(projectid), readConfig()["appiondata"])
    yield from describeDatabase("appiondata", f" of project {projectid}")
    yield from checkRights()
    yield from checkSession(projectid)


def describeDatabase(alias: str, whose: str = "") -> Iterator[Finding]:
    """Say which server a database is on, of what kind its tables are, and what it lacks."""
    connection = connections[alias]
    name = Path(connection.settings_dict["NAME"]).stem
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            where = f"SQLite, {connection.settings_dict['NAME']}"
        else:
            cursor.execute("SELECT VERSION()")
            version = cursor.fetchone()[0]
            cursor.execute("SELECT engine, COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() "
                           "AND engine IS NOT NULL GROUP BY engine ORDER BY COUNT(*) DESC")  # fmt: skip
            engines = ", ".join(f"{count} tables {engine}" for engine, count in cursor.fetchall())
            host, port = (connection.settings_dict[key] for key in ("HOST", "PORT"))
            where = f"{host or 'localhost'}:{port or 3306}, server {version}, {engines or 'empty'}"
    missing = listMissing(alias)
    if not missing:
        yield Finding(WELL, "database", f"{name}{whose}: {where}; nothing is missing")
        return
    errors = [item for item in missing if isIndispensable(alias, item)]
    missing = errors or missing
    tables = sum(item.whole for item in missing)
    columns = sum(len(item.fields) for item in missing if not item.whole)
    text = f"{name}{whose}: {where}; older than this package: {tables} tables and {columns} columns are missing"
    if errors:
        yield Finding(TODO, "database", text, describeTask(alias).format(name=name))
    else:
        yield Finding(NOTE, "database", f"{text} ({describeNote(alias)}; sinedon check lists them)")


def checkRights() -> Iterator[Finding]:
    """Find out whether a run may store results; nothing is written. Tables that are missing are told of elsewhere."""
    models = (*WRITTEN, *motioncorrection.WRITTEN, *ctfestimation.WRITTEN)
    refusals = findRefusals(filter(sinedon.hasTable, models), filter(sinedon.hasTable, CHANGED))
    if not refusals:
        yield Finding(WELL, "rights", "a run may store its results")
    for refusal in {refusal.remedy: refusal for refusal in reversed(refusals)}.values():
        yield Finding(TODO, "rights", refusal.reason, refusal.remedy)


def findNewestProject() -> int | None:
    """Return the project whose Appion database was recorded last, or None."""
    rows = projectdata.processingdb.objects.exclude(appiondb=None).exclude(appiondb="").exclude(project=None)
    return rows.order_by("-def_id").values_list("project_id", flat=True).first()


def checkClock() -> Finding:
    """Compare this host's clock with that of the database server."""
    connection = connections["leginondata"]
    if connection.vendor == "sqlite":
        return Finding(WELL, "clock", "the database is on this host")
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
        server = float(cursor.fetchone()[0])
        here = (before + time.time()) / 2
    return judgeClocks(here - server)


def judgeClocks(ahead: float) -> Finding:
    """Judge by how many seconds this host is ahead of the database server."""
    if abs(ahead) <= CLOCK:
        return Finding(WELL, "clock", f"within {CLOCK:g} s of the database server's")
    text = f"this host is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the database server"
    return Finding(TODO, "clock", text, "have both set by NTP (chrony)")


def checkSession(projectid: int) -> Iterator[Finding]:
    """Look at the image folder of the project's newest session: results are written there."""
    rows = projectdata.projectexperiments.objects.filter(project_id=projectid).exclude(session=None)
    newest = rows.order_by("-def_id").values_list("session_id", flat=True).first()
    session = leginondata.SessionData.objects.filter(def_id=newest).first()
    if session is None:
        yield Finding(NOTE, "session", f"project {projectid} has no session yet")
        return
    if session.image_path:
        yield from checkFolder(Path(session.image_path), "session", f"images of {session.name}")
