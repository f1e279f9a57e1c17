"""Which exposures a run has stored completely."""

from __future__ import annotations

from array import array

import numpy

from appion.base.records.ids import Ids
from appion.motioncorrection.records import MotionCorrectionOptions
from sinedon import readPages
from sinedon.models import appiondata, leginondata


def retrieveDone(run_id: int | None, session_id: int, options: MotionCorrectionOptions) -> Ids:
    """Return the ids of the images for which the run has every result: the sum and, if weighted by dose, that one too.

    Args:
        run_id: the run's `ApDDStackRunData` row, None if it has none yet.
        session_id: the session of the images and their results.
        options: `doseweight` and `totaldose` tell whether a weighted sum is expected.

    Two queries for any ten thousand images.
    """
    if run_id is None:
        return Ids()
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(ddstackrun_id=run_id)
    sources, results = array("q"), array("q")
    for rows in readPages(pairs, "source_id", "result_id"):
        sources.extend(source or 0 for _, source, _ in rows)
        results.extend(result or 0 for _, _, result in rows)
    if not options.doseweight or not sources:
        return Ids(sources)
    images = leginondata.AcquisitionImageData.objects.filter(session_id=session_id)
    dosed, weighted = array("q"), array("q")
    for rows in readPages(images, "preset__name", "preset__dose"):
        weighted.extend(image_id for image_id, preset, _ in rows if (preset or "").endswith("-DW"))
        dosed.extend(image_id for image_id, _, dose in rows if options.totaldose is not None or (dose or 0) > 0)
    if options.totaldose is not None and options.totaldose <= 0:
        dosed = array("q")
    source, is_weighted = numpy.array(sources), numpy.isin(numpy.array(results), numpy.array(weighted))
    return Ids(source[~is_weighted]) - (Ids(dosed) - Ids(source[is_weighted]))


def hasResults(runname: str, rundir: str) -> bool:
    """Return whether anything is stored of runs of this name in this folder, whatever their settings."""
    pairs = appiondata.ApDDAlignImagePairData.objects
    return pairs.filter(ddstackrun__runname=runname, ddstackrun__path__path=rundir).exists()
