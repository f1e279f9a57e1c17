"""What a run has stored."""

from __future__ import annotations

from sinedon.models import appiondata


def hasResults(runname: str, rundir: str) -> bool:
    """Return whether anything is stored of runs of this name in this folder."""
    return appiondata.ApCtfData.objects.filter(acerun__name=runname, acerun__path__path=rundir).exists()


def retrieveDone(run_id: int | None) -> set[int]:
    """Return the ids of the images that have a row of this run; one query, whatever their number."""
    if run_id is None:
        return set()
    return set(appiondata.ApCtfData.objects.filter(acerun_id=run_id).values_list("image_id", flat=True))
