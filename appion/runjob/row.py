"""The job row that the web pages watch: made before the job, told its number and status Q after it."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping

import sinedon
from appion.base.retrieve.host import readUserName
from appion.base.retrieve.session import readSession, setupProject
from appion.base.store.path import savePathData
from appion.runjob.command import PROGRAMS, JobRequest
from sinedon.models import appiondata

QUEUED, FAILED = "Q", "E"


def insertJobRow(request: JobRequest) -> int:
    """Insert the row of a job that the web pages know nothing of, and return its id. It has no status yet.

    Raises:
        ConfigurationFailure, sinedon.errors.ConfigurationError: session or project are not known, or the database
            cannot be reached.
    """
    session_id = openProject(request.options)
    path_id = savePathData(request.rundir)
    row = sinedon.insertRow(
        appiondata.ApAppionJobData, path=path_id, clusterpath=path_id, session=session_id,
        name=f"{request.runname}.appionsub.job", user=readUserName(), cluster=socket.gethostname(),
        jobtype=request.options.get("jobtype") or calcJobtype(request.program),
    )  # fmt: skip
    return row.def_id


def calcJobtype(program: str) -> str:
    """Return the type of the job of a program: that which the web pages count, else the name of the program."""
    return PROGRAMS.get(program) or os.path.splitext(program)[0].lower()


def updateJobRow(options: Mapping[str, str], jobid: int, clusterjobid: int) -> None:
    """Write the job's number into its row, and Q if it has no status: the job itself may have been faster.

    Args:
        options: of the job's command line: what tells the project.

    Raises:
        appiondata.ApAppionJobData.DoesNotExist: there is no such row.
        ConfigurationFailure, sinedon.errors.ConfigurationError: as for :func:`insertJobRow`.
    """
    if "projectid" in options:
        sinedon.setup(int(options["projectid"]))
    else:
        openProject(options)
    sinedon.updateRow(appiondata.ApAppionJobData, jobid, clusterjobid=clusterjobid)
    rows = appiondata.ApAppionJobData.objects.filter(def_id=jobid)
    (rows.filter(status=None) | rows.filter(status="")).update(status=QUEUED)


def failJobRow(options: Mapping[str, str]) -> bool:
    """Set the row of ``jobid`` to E if it still says Q or nothing; returns whether it did.

    Args:
        options: of the job's command line: ``jobid``, and what tells the project.

    Raises:
        ConfigurationFailure, sinedon.errors.ConfigurationError: as for :func:`insertJobRow`.
    """
    if "projectid" in options:
        sinedon.setup(int(options["projectid"]))
    else:
        openProject(options)
    rows = appiondata.ApAppionJobData.objects.filter(def_id=int(options["jobid"]))
    return bool((rows.filter(status__in=(QUEUED, "")) | rows.filter(status=None)).update(status=FAILED))


def openProject(options: Mapping[str, str]) -> int:
    """Connect to the databases of the project that the options tell, and return the id of its session."""
    sinedon.setup()
    number = {name: int(options[name]) if name in options else None for name in ("expid", "projectid")}
    args = argparse.Namespace(**number, sessionname=options.get("session"), mrcnames=None)
    session = readSession(args)
    setupProject(args, session)
    return session.def_id
