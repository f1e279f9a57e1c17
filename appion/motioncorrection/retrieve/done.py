"""Which exposures a run has stored completely."""

from __future__ import annotations

from appion.motioncorrection.records import MotionCorrectionOptions
from sinedon.models import appiondata, leginondata


def retrieveDone(run_id: int | None, session_id: int, options: MotionCorrectionOptions) -> set[int]:
    """Return the ids of the images for which the run has every result: the sum and, if weighted by dose, that one too.

    Args:
        run_id: the run's `ApDDStackRunData` row, None if it has none yet.
        session_id: the session of the images and their results.
        options: `doseweight` and `totaldose` tell whether a weighted sum is expected.

    Two queries, whatever the number of images.
    """
    if run_id is None:
        return set()
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(ddstackrun_id=run_id)
    found = list(pairs.values_list("source_id", "result_id"))
    if not options.doseweight or not found:
        return {source for source, _ in found}
    images = leginondata.AcquisitionImageData.objects.filter(session_id=session_id)
    dosed, weighted = set(), set()
    for image_id, preset, dose in images.values_list("def_id", "preset__name", "preset__dose"):
        if (preset or "").endswith("-DW"):
            weighted.add(image_id)
        if options.totaldose is not None or (dose or 0) > 0:
            dosed.add(image_id)
    if options.totaldose is not None and options.totaldose <= 0:
        dosed = set()
    plain = {source for source, result in found if result not in weighted}
    with_weighted = {source for source, result in found if result in weighted}
    return {source for source in plain if source in with_weighted or source not in dosed}


def hasResults(runname: str, rundir: str) -> bool:
    """Return whether anything is stored of runs of this name in this folder, whatever their settings."""
    pairs = appiondata.ApDDAlignImagePairData.objects
    return pairs.filter(ddstackrun__runname=runname, ddstackrun__path__path=rundir).exists()
