"""Which runs there are of some sessions, whoever began them: four queries for each Appion database."""

from __future__ import annotations

import re
from collections.abc import Iterable

import sinedon
from appion.keep.records import CTF, JOBTYPES, MOTION, FoundRun, Session
from sinedon.models import appiondata, projectdata

#: What can be the name of a database.
DATABASE = re.compile(r"[\w$-]{1,64}", re.ASCII)

#: Status of a job that somebody has set aside on the web pages.
IGNORED = "I"


def readRuns(sessions: Iterable[Session]) -> list[FoundRun]:
    """Return the runs of sessions in the databases of their projects, each folder once, the newest first.

    Those whose jobs are ignored on the web pages are left out.

    Raises:
        sinedon.errors.SinedonError: a database cannot be reached.
    """
    databases, wanted = readDatabases(), dict[str, set[int]]()
    for session in sessions:
        for project in session.projects:
            if project in databases:
                wanted.setdefault(databases[project], set()).add(session.def_id)
    found: list[FoundRun] = []
    for name, ids in wanted.items():
        found += readRunsOf(sinedon.addAppionDatabase(name), ids)
    return found


def readDatabases() -> dict[int, str]:
    """Return the name of each project's Appion database: that of its newest record."""
    rows = projectdata.processingdb.objects.exclude(appiondb=None).order_by("def_id")
    return {project: name for project, name in rows.values_list("project_id", "appiondb")
            if project and DATABASE.fullmatch(name)}  # fmt: skip


def readRunsOf(alias: str, ids: set[int]) -> list[FoundRun]:
    """Return the runs of sessions in one database; see :func:`readRuns`."""
    jobs = appiondata.ApAppionJobData.objects.using(alias).filter(session_id__in=ids).order_by("-def_id")
    columns = ("def_id", "session_id", "jobtype", "status", "name", "path__path")
    rows = list(jobs.values_list(*columns))
    values = appiondata.ScriptParamValue.objects.using(alias).filter(
        paramname__name="preset", progrun__job__in=[row[0] for row in rows]
    )
    presets = dict(values.values_list("progrun__job_id", "value"))
    found: dict[str, FoundRun] = {}
    ignored = set()
    kinds = {jobtype: kind for kind, jobtypes in JOBTYPES.items() for jobtype in jobtypes}
    for def_id, session_id, jobtype, status, name, path in rows:
        kind = kinds.get((jobtype or "").lower())
        if not kind or not path or path in found:
            continue
        if status == IGNORED:
            ignored.add(path)
        else:
            runname = (name or "").removesuffix(".appionsub.job")
            found[path] = FoundRun(session_id, kind, presets.get(def_id) or None, path, runname)
    motion = appiondata.ApDDStackRunData.objects.using(alias).filter(session_id__in=ids, params__align=True)
    ctf = appiondata.ApAceRunData.objects.using(alias).filter(session_id__in=ids)
    for session_id, runname, path, preset in motion.values_list("session_id", "runname", "path__path",
                                                                "params__preset"):
        addRow(found, ignored, FoundRun(session_id, MOTION, preset or None, path or "", runname or ""))
    for session_id, runname, path in ctf.values_list("session_id", "name", "path__path"):
        addRow(found, ignored, FoundRun(session_id, CTF, None, path or "", runname or ""))
    return list(found.values())


def addRow(found: dict[str, FoundRun], ignored: set[str], run: FoundRun) -> None:
    """Add what a run's own row tells: a run without a job, or the preset of one whose options are not recorded."""
    if run.rundir in ignored:
        return
    known = found.get(run.rundir)
    if known is None or (known.preset is None and run.preset):
        found[run.rundir] = run
