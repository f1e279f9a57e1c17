"""Which aligned images were made from which exposure, in one Appion database: read once, and what is new added."""

from __future__ import annotations

from collections.abc import Iterable

from appion.web.retrieve.exposures import CHUNK
from appion.web.retrieve.sessions import View
from sinedon.models import appiondata


class Pairs:
    """Exposures by aligned image and the other way round.

    Attributes:
        sources: aligned image -> exposure. results: exposure -> aligned images, the plain one first.
    """

    def __init__(self, alias: str, run_id: int | None) -> None:
        self.alias, self.run_id = alias, run_id
        self.sources: dict[int, int] = {}
        self.results: dict[int, list[int]] = {}
        self._last = 0
        self._asked: set[int] = set()

    def update(self) -> list[int]:
        """Read the pairs of the run that are new, by one query, and return their exposures."""
        if self.run_id is None:
            return []
        rows = appiondata.ApDDAlignImagePairData.objects.using(self.alias)
        rows = rows.filter(ddstackrun_id=self.run_id, def_id__gt=self._last).order_by("def_id")
        return self._add(rows.values_list("def_id", "source_id", "result_id"))

    def find(self, images: Iterable[int]) -> None:
        """Ask for the exposures of aligned images, of whichever run, that have not been asked for: one query."""
        unknown = sorted({image for image in images if image not in self.sources} - self._asked)
        self._asked.update(unknown)
        for start in range(0, len(unknown), CHUNK):
            rows = appiondata.ApDDAlignImagePairData.objects.using(self.alias)
            rows = rows.filter(result_id__in=unknown[start : start + CHUNK]).order_by("def_id")
            self._add(rows.values_list("def_id", "source_id", "result_id"), ours=False)

    def findExposure(self, image: int) -> int:
        """Return the exposure that an image was made from, or the image itself."""
        return self.sources.get(image, image)

    def _add(self, rows: Iterable[tuple[int, int | None, int | None]], ours: bool = True) -> list[int]:
        found = []
        for def_id, source, result in rows:
            if ours:
                self._last = max(self._last, def_id)
            if source and result:
                self.sources[result] = source
                known = self.results.setdefault(source, [])
                if result not in known:
                    known.append(result)
                found.append(source)
        return found


def listResults(view: View, exposure: int) -> list[int]:
    """Return the aligned images of an exposure, those of the motion run that is shown, else of any: one query."""
    run = next(iter(view.shown), None)
    if run is None:
        return []
    rows = appiondata.ApDDAlignImagePairData.objects.using(run.alias).filter(source_id=exposure).order_by("def_id")
    pairs = [(result, made) for result, made in rows.values_list("result_id", "ddstackrun_id") if result]
    ours = [result for result, made in pairs if view.motion and made == view.motion.def_id]
    return list(dict.fromkeys(ours or [result for result, _ in pairs]))
