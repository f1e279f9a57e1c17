"""The best earlier CTF of an image, as classic Appion ranks them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sinedon.models import appiondata

#: Ids in one query.
CHUNK = 5000


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


def readBestCTFs(ids: Sequence[int]) -> dict[int, EarlierCTF]:
    """Return the best row of each image that has one: of itself or, of an aligned image, of its relatives as well.

    The relatives are the exposure that an aligned image was made from and everything else made from that. Rows of every
    run of the project count. Three queries (per 5000 images), whatever their number.
    """
    families = readFamilies(ids)
    rows: dict[int, list[EarlierCTF]] = defaultdict(list)
    for some in divide({relative for family in families.values() for relative in family}):
        for values in appiondata.ApCtfData.objects.filter(image_id__in=some).values_list(*COLUMNS):
            row = EarlierCTF(*values)
            rows[row.image_id].append(row)
    found = {}
    for image_id, family in families.items():
        best = selectBest(row for relative in family for row in rows.get(relative, ()))
        if best is not None:
            found[image_id] = best
    return found


def readFamilies(ids: Iterable[int]) -> dict[int, set[int]]:
    """Return the images whose rows count for an image, by image."""
    families = {image_id: {image_id} for image_id in ids}
    pairs = appiondata.ApDDAlignImagePairData.objects
    sources: dict[int, set[int]] = defaultdict(set)
    for some in divide(families):
        for result, source in pairs.filter(result_id__in=some).values_list("result_id", "source_id"):
            sources[result].add(source)
    results: dict[int, set[int]] = defaultdict(set)
    for some in divide({source for found in sources.values() for source in found if source}):
        for source, result in pairs.filter(source_id__in=some).values_list("source_id", "result_id"):
            results[source].add(result)
    for result, found in sources.items():
        for source in found:
            families[result] |= {source} | results[source]
    return families


def divide(ids: Iterable[int]) -> Iterator[list[int]]:
    """Yield the ids in lists that fit into a query."""
    ordered = sorted(number for number in ids if number)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


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
