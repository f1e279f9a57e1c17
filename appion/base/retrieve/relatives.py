"""Aligned images, what they were made from, and what else was made from that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sinedon.models import appiondata

#: Ids in one query.
CHUNK = 5000


@dataclass(frozen=True)
class Relatives:
    """The pairs (source, run of motion correction) of each aligned image, and the results of each source."""

    sources: dict[int, set[tuple[int, int]]]
    results: dict[int, set[int]]

    def findFamily(self, image_id: int) -> set[int]:
        """Return an image and, if it is aligned, its source and everything made from that."""
        family = {image_id}
        for source, _ in self.sources.get(image_id, ()):
            family |= {source} | self.results.get(source, set())
        return family

    def findSource(self, image_id: int, run: int) -> int | None:
        """Return what an image was made from by a run of motion correction, or None."""
        return next((source for source, maker in self.sources.get(image_id, ()) if maker == run), None)

    def findSisters(self, image_id: int) -> set[int]:
        """Return an aligned image and what the same run of motion correction made from the same source."""
        mine = self.sources.get(image_id, set())
        return {one for one in self.findFamily(image_id) if self.sources.get(one, set()) & mine}


def readRelatives(ids: Iterable[int]) -> Relatives:
    """Read the pairs of the images; two queries (per 5000 images), one where none is aligned."""
    pairs = appiondata.ApDDAlignImagePairData.objects
    columns = ("source_id", "result_id", "ddstackrun_id")
    found = {pair for some in divide(ids) for pair in pairs.filter(result_id__in=some).values_list(*columns)}
    for some in divide({source for source, _, _ in found}):
        found.update(pairs.filter(source_id__in=some).values_list(*columns))
    sources: dict[int, set[tuple[int, int]]] = {}
    results: dict[int, set[int]] = {}
    for source, result, run in found:
        if source and result:
            sources.setdefault(result, set()).add((source, run or 0))
            results.setdefault(source, set()).add(result)
    return Relatives(sources, results)


def readPixelSizes(ids: Sequence[int], relatives: Relatives) -> dict[int, float]:
    """Return the pixel size (Å) that motion correction noted for aligned images; one query (per 5000 images).

    It is noted for the plain sum and holds for its dose-weighted sister as well.
    """
    sisters = {image_id: relatives.findSisters(image_id) for image_id in ids if image_id in relatives.sources}
    stats = appiondata.ApDDAlignStatsData.objects
    noted = dict(
        row
        for some in divide({sister for found in sisters.values() for sister in found})
        for row in stats.filter(image_id__in=some, apix__gt=0).order_by("def_id").values_list("image_id", "apix")
    )
    return {
        image_id: noted[sister] for image_id, found in sisters.items()
        for sister in sorted(found, key=lambda one: one == image_id) if sister in noted
    }  # fmt: skip


def divide(ids: Iterable[int]) -> Iterator[list[int]]:
    """Yield the ids in lists that fit into a query."""
    ordered = sorted(number for number in ids if number)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
