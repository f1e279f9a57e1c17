"""What a person should hear of results beyond their rows."""

from __future__ import annotations

import logging
from collections import Counter

import sinedon
from appion.ctfestimation.records import ComputedCTF
from appion.ctfestimation.retrieve.best import COLUMNS, EarlierCTF, calcConfidenceScore
from appion.ctfestimation.store.run import CTFRun
from sinedon.models import appiondata

log = logging.getLogger(__name__)

#: Width of a bin of the histogram of confidences.
BIN = 0.05

#: Warnings of results that have been logged.
_warned: set[str] = set()


def reportResult(computed: ComputedCTF) -> str:
    """Log the warnings of a result, those that many micrographs share for the first of them; return all in one line."""
    name, result = computed.origin.filename, computed.result
    for warning in result.warnings:
        if warning not in _warned:
            _warned.add(warning)
            log.warning("%s: %s", name, warning)
    found = (
        f"defocus {result.defocus1 * 1e-4:.3f} and {result.defocus2 * 1e-4:.3f} µm at {result.angle_astigmatism:.1f}°, "
        f"confidence {result.confidence:.2f}"
    )
    return "; ".join((found, *result.warnings))


def reportConfidences(run: CTFRun) -> None:
    """Log how many images of a run have which confidence, by their newest rows; not if the database is away."""
    try:
        scores = readScores(run)
    except Exception as error:
        if not sinedon.isDatabaseAway(error):
            raise
        log.warning("the confidences cannot be counted, the database does not answer: %s", error)
        return
    bins = Counter(min(int(score / BIN), int(1 / BIN) - 1) for score in scores)
    counts = ", ".join(f"{bins[one]} of {one * BIN:.2f} to {(one + 1) * BIN:.2f}" for one in sorted(bins))
    if scores:
        log.info("confidences of %d images: %s", len(scores), counts)


def readScores(run: CTFRun) -> list[float]:
    rows = appiondata.ApCtfData.objects.filter(acerun_id=run.def_id).order_by("def_id").values_list(*COLUMNS)
    newest = {row.image_id: calcConfidenceScore(row) for row in (EarlierCTF(*values) for values in rows)}
    return list(newest.values())
