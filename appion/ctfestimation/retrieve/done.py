"""What a run has stored."""

from __future__ import annotations

from appion.base.records.ids import Ids
from sinedon import readPages
from sinedon.models import appiondata


def hasResults(runname: str, rundir: str) -> bool:
    """Return whether anything is stored of runs of this name in this folder."""
    return appiondata.ApCtfData.objects.filter(acerun__name=runname, acerun__path__path=rundir).exists()


def retrieveDone(run_id: int | None) -> Ids:
    """Return the ids of the images that have a row of this run; one query for any ten thousand of them."""
    if run_id is None:
        return Ids()
    pages = readPages(appiondata.ApCtfData.objects.filter(acerun_id=run_id), "image_id")
    return Ids(image_id for rows in pages for _, image_id in rows if image_id)
