"""A site's databases with a session of its own in them, and what is in every table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import connections

import sinedon
from appion.demo.tables import readTables
from sinedon.models import appiondata, leginondata, projectdata
from tests.services.sessions import makeSession

ALIASES = ("leginondata", "projectdata", "appiondata")


def makeRealSession(root: Path) -> None:
    """A session of project 1 whose images have results, as daemons leave them."""
    made = makeSession(images=4, root=root)
    path = sinedon.insertRow(appiondata.ApPathData, path=f"{root}/appion/{made.name}/ddstack/ddstack1")
    run = sinedon.insertRow(appiondata.ApDDStackRunData, runname="ddstack1", session=made.session_id, path=path)
    job = sinedon.insertRow(appiondata.ApAppionJobData, name="ddstack1.appionsub.job", path=path,
                            session=made.session_id)  # fmt: skip
    program = sinedon.insertRow(appiondata.ScriptProgramName, name="makeDDAlignMotionCor2_UCSF")
    progrun = sinedon.insertRow(appiondata.ScriptProgramRun, runname="ddstack1", progname=program, rundir=path, job=job)
    sinedon.insertRow(appiondata.ScriptParamValue, value="1", progrun=progrun)
    sinedon.insertRow(appiondata.ApDDAlignImagePairData, source_id=made.image_ids[0], result_id=made.image_ids[1],
                      ddstackrun=run)  # fmt: skip
    sinedon.insertRow(leginondata.ViewerImageStatus, session=made.session_id, image_id=made.image_ids[2],
                      status="hidden")  # fmt: skip


def makeDecoys() -> None:
    """Sessions and projects that look nearly as if a rehearsal had made them."""
    words = "appion demo 0123456789abcdef: simulated, safe to delete"
    folder = "/data/demo26nov26z/leginon/demo26nov26z/rawdata"
    for name, comment in (("demo26nov26z", ""), ("demo26nov26z", f"{words}!"), ("demo26nov26z", words[:-1]),
                          ("demo26nov26", words), ("26nov26a", words), ("mydemo26nov26a", words)):  # fmt: skip
        sinedon.insertRow(leginondata.SessionData, name=name, comment=comment, image_path=folder, hidden=False)
    for name, text in (("APPION DEMO demo26nov26z - safe to delete", "simulated"), ("APPION DEMO", words),
                       ("APPION DEMO demo26nov26z - safe to delete.", words)):  # fmt: skip
        project = sinedon.insertRow(projectdata.projects, name=name, long_description=text, hidden=False)
        sinedon.insertRow(projectdata.processingdb, project=project, appiondb="ap1")


def dumpTables() -> dict[tuple[str, str], dict[int, tuple[Any, ...]]]:
    """Return every row of every table by its id."""
    sinedon.setup(1)
    dump = {}
    for alias in ALIASES:
        for table in readTables(alias):
            with connections[alias].cursor() as cursor:
                cursor.execute(f"SELECT * FROM {connections[alias].ops.quote_name(table.name)}")
                at = [column[0] for column in cursor.description].index("DEF_id")
                dump[alias, table.name] = {row[at]: row for row in cursor.fetchall()}
    return dump
