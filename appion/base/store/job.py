"""The job row that the web pages show: status R while the program runs, D when it is done, E when it failed."""

from __future__ import annotations

import argparse
import contextlib
import logging
import socket
from collections.abc import Collection, Iterator

import sinedon
from sinedon.models import appiondata

logger = logging.getLogger(__name__)

RUNNING, DONE, FAILED = "R", "D", "E"

#: Status of a job that the program has not begun yet; NULL is another.
QUEUED = ("Q", "")

#: Status set by a person on the web pages (aborted, ignored), which stays as it is.
SET_BY_USER = ("A", "I")

#: What "Abort job" and "Kill job" of the web pages set; nobody else does while the program runs.
ENDED_BY_USER = ("A", DONE)


def startJob(args: argparse.Namespace, session_id: int, path_id: int | None, jobtype: str,
             other_jobtypes: Collection[str], user: str) -> int | None:
    """Return the id of this run's job row, its status set to R; None with ``--no-commit``, which has no job.

    With ``--jobid`` it is exactly that row, whose name and type stay as they are. Otherwise the newest row of the run
    folder whose type is ``--jobtype``, `jobtype` or one of `other_jobtypes`; if there is none, one of `user` is
    inserted.

    Args:
        jobtype: of a row that is inserted, unless ``--jobtype`` is given: what the web pages count.
        other_jobtypes: what jobs of this step may be called as well, by another of its commands or by classic.
    """
    if not args.commit or path_id is None:
        return None
    job_id = findJob(args, path_id, {jobtype, *other_jobtypes})
    if job_id is None:
        return insertJob(args, session_id, path_id, jobtype, user)
    updateJobStatus(job_id, RUNNING)
    return job_id


def findJob(args: argparse.Namespace, path_id: int, jobtypes: set[str]) -> int | None:
    jobs = appiondata.ApAppionJobData.objects
    if args.jobid is not None:
        if jobs.filter(def_id=args.jobid).exists():
            return args.jobid
        logger.warning("--jobid=%d: project %s has no such job; the job of the run folder is used",
                       args.jobid, args.projectid)
    if args.jobtype:
        jobtypes = jobtypes | {args.jobtype}
    rows = jobs.filter(path_id=path_id, jobtype__in=jobtypes).order_by("-def_id")
    return rows.values_list("def_id", flat=True).first()


def insertJob(args: argparse.Namespace, session_id: int, path_id: int, jobtype: str, user: str) -> int:
    row = sinedon.insertRow(appiondata.ApAppionJobData, path=path_id, clusterpath=path_id, session=session_id,
                            name=f"{args.runname}.appionsub.job", jobtype=args.jobtype or jobtype,
                            user=user, cluster=socket.gethostname(), status=RUNNING)
    return row.def_id


def updateJobStatus(job_id: int | None, status: str) -> None:
    """Set the status letter of a job row, at once; nothing is done for None.

    D and E leave a status alone that a person has set meanwhile.
    """
    if job_id is None:
        return
    if status != RUNNING:
        now = appiondata.ApAppionJobData.objects.filter(def_id=job_id).values_list("status", flat=True).first()
        if now in SET_BY_USER:
            logger.info("job %d stays %s, as set on the web pages", job_id, now)
            return
    sinedon.updateRow(appiondata.ApAppionJobData, job_id, status=status)


def isAborted(job_id: int | None) -> bool:
    """Whether a person has ended the job on the web pages, whose `qdel` does not reach every program."""
    if job_id is None:
        return False
    rows = appiondata.ApAppionJobData.objects.filter(def_id=job_id)
    return rows.values_list("status", flat=True).first() in ENDED_BY_USER


@contextlib.contextmanager
def failQueuedJob(args: argparse.Namespace) -> Iterator[None]:
    """Set the row of ``--jobid`` to E if the program is refused while it still says Q: nothing else ever would."""
    try:
        yield
    except Exception as error:
        if args.jobid and args.projectid and args.commit and not args.dry_run and not sinedon.isDatabaseAway(error):
            with contextlib.suppress(Exception):  # the first error is the one to be told
                sinedon.setup(args.projectid)
                rows = appiondata.ApAppionJobData.objects.filter(def_id=args.jobid)
                (rows.filter(status__in=QUEUED) | rows.filter(status=None)).update(status=FAILED)
        raise


def finishJob(job_id: int | None, succeeded: bool) -> None:
    """Set the job row to D or E; a database that is away or refuses it is reported, never raised: the run is over."""
    status = DONE if succeeded else FAILED
    try:
        updateJobStatus(job_id, status)
    except Exception as error:
        refusal = sinedon.findRefusal(error)
        if refusal is not None:
            logger.error("job %s: status %s could not be set: %s", job_id, status, refusal)
            return
        if not sinedon.isDatabaseAway(error):
            raise
        logger.error("job %s: status %s could not be set, the database does not answer: %s", job_id, status, error)
