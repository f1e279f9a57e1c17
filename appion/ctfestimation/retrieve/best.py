"""The best earlier CTF of an image, as classic Appion ranks them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appion.base.retrieve.relatives import Relatives, divide
from sinedon.models import appiondata


@dataclass(frozen=True)
class EarlierCTF:
    """What is used of an `ApCtfData` row, named after its columns; `def_id` and `image_id` aside all may be None."""

    def_id: int
    image_id: int
    defocus1: float | None = None
    defocus2: float | None = None
    amplitude_contrast: float | None = None
    resolution_80_percent: float | None = None
    resolution_50_percent: float | None = None
    ctffind4_resolution: float | None = None
    confidence: float | None = None
    confidence_d: float | None = None
    confidence_30_10: float | None = None
    confidence_5_peak: float | None = None


COLUMNS = tuple(EarlierCTF.__dataclass_fields__)


def readBestCTFs(ids: Sequence[int], relatives: Relatives) -> dict[int, EarlierCTF]:
    """Return the best row of each image that has one: of itself or, of an aligned image, of its relatives as well.

    The relatives are the exposure that an aligned image was made from and everything else made from that. Rows of every
    run of the project count. One query (per 5000 images), whatever their number.
    """
    families = {image_id: relatives.findFamily(image_id) for image_id in ids}
    rows: dict[int, list[EarlierCTF]] = defaultdict(list)
    for some in divide({relative for family in families.values() for relative in family}):
        for values in appiondata.ApCtfData.objects.filter(image_id__in=some).values_list(*COLUMNS):
            row = EarlierCTF(*values)
            rows[row.image_id].append(row)
    best = {
        image_id: selectBest(row for one in family for row in rows.get(one, ()))
        for image_id, family in families.items()
    }
    return {image_id: row for image_id, row in best.items() if row is not None}


def selectBest(rows: Iterable[EarlierCTF]) -> EarlierCTF | None:
    """Return the row of the best resolution (1 / Å where the correlation falls to 80 %); of equal ones the newest.

    A row without that resolution counts by its confidence instead, on the same scale: so does classic, and results of
    both have to agree. Rows without defocus are of no use.
    """
    usable = (row for row in rows if isNumber(row.defocus1) and isNumber(row.defocus2))
    return max(usable, key=lambda row: (calcRank(row), row.def_id), default=None)


def calcRank(row: EarlierCTF) -> float:
    resolution = row.resolution_80_percent
    if resolution is not None and isNumber(resolution) and resolution > 0:
        return 1.0 / resolution
    return calcConfidenceScore(row)


def calcConfidenceScore(row: EarlierCTF) -> float:
    """Return the highest confidence of a row, 0 to 1; 0 where it has none."""
    given = (row.confidence, row.confidence_d, row.confidence_30_10, row.confidence_5_peak)
    return max(0.0, *(value for value in given if value is not None and isNumber(value)), 0.0)


def isNumber(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
