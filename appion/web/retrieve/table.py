"""The exposures of a session page with all their numbers, kept in memory and added to; what is new since a look."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from appion.base.records.runfolder import thumbnailPath
from appion.base.records.series import CTF, MOTION, STEPS
from appion.web.retrieve import exposures
from appion.web.retrieve.failed import Failed
from appion.web.retrieve.hidden import Hidden
from appion.web.retrieve.pairs import Pairs
from appion.web.retrieve.pictures import findThumbnail
from appion.web.retrieve.places import Places, listSquares
from appion.web.retrieve.results import Results, findResults, pick
from appion.web.retrieve.sessions import View

#: Seconds for which one look at databases and folders does for everybody.
FRESH = 1.0

#: So many new pictures are looked for one by one; for more the folder is listed.
FEW = 100

WAITING, CORRECTED, DONE, FAILED = "waiting", "corrected", "done", "failed"

MOTION_COLUMNS = tuple(column.name for column in MOTION)
CTF_COLUMNS = tuple(column.name for column in CTF if column.name != "spectrum")
COLUMNS = (*exposures.COLUMNS, "square", "hole", "stored", "ctf_stored", "seconds_to_result", *MOTION_COLUMNS,
           *CTF_COLUMNS, *(column.name for step in STEPS for column in step.columns), "thumb", "spectrum", "hidden")


class Table:
    """The exposures of a motion run, a CTF run and those of further steps. One thread at a time updates it.

    Attributes:
        rows: exposure -> row. base: columns of what Leginon's rows tell. spots: where each is a target.
        motion, ctf: results; of_motion, of_ctf: their rows by row, or -1. further: both by the name of the step.
        version: of the last change; changed: by row, in which version it last changed.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.lock = threading.RLock()
        self._looked = float("-inf")
        self._clear()

    def _clear(self) -> None:
        """Forget all that was read; the next who ask get everything."""
        view = self.view
        alias = next((run.alias for run in view.shown), "")
        self.token = secrets.token_hex(4)
        self.base: dict[str, list[Any]] = {name: [] for name in exposures.COLUMNS}
        self.rows: dict[int, int] = {}
        self.order: list[int] = []
        self.spots: list[exposures.Spot] = []
        self.of_motion: list[int] = []
        self.of_ctf: list[int] = []
        self.thumbs: list[int] = []
        self.changed: list[int] = []
        self.failures: dict[int, tuple[str, bool]] = {}
        self.version = 0
        self.motion, self.ctf = (findResults(run) if run else None for run in (view.motion, view.ctf))
        self.further: dict[str, tuple[Results, list[int]]] = {run.kind: (findResults(run), []) for run in view.further}
        self.joined = [
            (results, of) for results, of in
            ((self.motion, self.of_motion), (self.ctf, self.of_ctf), *self.further.values()) if results
        ]  # fmt: skip
        self.failed = [Failed(run.folder) for run in view.shown]
        self.pairs = Pairs(alias, view.motion.def_id if view.motion else None)
        self.places, self.hidden = Places(), Hidden()
        self._generations = self._listGenerations()
        self._used = [0] * len(self.joined)

    def _listGenerations(self) -> list[int]:
        return [results.generation for results, _ in self.joined]

    def update(self) -> None:
        """Read what is new in databases and run folders, unless somebody just did: a few queries."""
        with self.lock:
            if time.monotonic() - self._looked < FRESH:
                return
            self._readResults()
            if self._listGenerations() != self._generations:
                self._clear()
                self._readResults()
            try:
                self._readNews()
            except BaseException:
                self._clear()  # what was read before may not have found its place
                raise
            self._looked = time.monotonic()

    def expire(self) -> None:
        """Have the next update look, however short ago the last one was."""
        self._looked = float("-inf")

    def _readResults(self) -> None:
        for results, _ in self.joined:
            results.update()

    def _readNews(self) -> None:
        self.version += 1
        known = len(self.rows)
        if self.view.motion and self.view.motion.preset:
            after = next(reversed(self.rows), 0)
            self._add(exposures.readExposures(self.view.session, self.view.motion.preset, after))
        touched = set(self.pairs.update())
        for which in range(len(self.joined)):
            touched |= self._join(which)
        touched |= self._readFailures()
        if self.rows:
            touched |= {self.pairs.findExposure(image) for image in self.hidden.update(self._findLimits())}
        rows = {self.rows[image] for image in touched if image in self.rows} | set(range(known, len(self.rows)))
        self.places.read(spot[0] for spot in self.spots[known:])
        self._findThumbs([row for row in rows if self.of_motion[row] >= 0 and not self.thumbs[row]])
        for row in rows:
            self.changed[row] = self.version
        if len(self.rows) > known:
            self.order = self._sort(range(len(self.rows)))
        if not rows:
            self.version -= 1

    def _readFailures(self) -> set[int]:
        """Read what is new of failures, and return the exposures of which something else is known now."""
        news = [failed.update() for failed in self.failed]
        if not any(news):
            return set()
        self.pairs.find(image for some in news for image in some if image not in self.rows)
        self.failures = {self.pairs.findExposure(image): reason
                         for failed in reversed(self.failed) for image, reason in failed.reasons.items()}  # fmt: skip
        return {self.pairs.findExposure(image) for some in news for image in some}

    def _add(self, found: Iterable[exposures.Found]) -> None:
        for values, spot in found:
            if values[0] in self.rows or values[0] in self.pairs.sources:
                continue
            self.rows[values[0]] = len(self.rows)
            for column, value in zip(self.base.values(), values, strict=True):
                column.append(value)
            self.spots.append(spot)
            for of in (self.of_motion, self.of_ctf, *(of for _, of in self.further.values())):
                of.append(-1)
            self.thumbs.append(0)
            self.changed.append(self.version)

    def _join(self, which: int) -> set[int]:
        """Find the exposures of new results, and return them; what was not selected by its preset is added."""
        results, of = self.joined[which]
        news = results.news[self._used[which] :]
        images = results.images
        if news and results is not self.motion:
            self.pairs.find(images[row] for row in news if images[row] not in self.rows)  # of another motion run
        sources = {row: self.pairs.findExposure(images[row]) for row in news}
        self._add(exposures.readImages(image for image in sources.values() if image not in self.rows))
        for row, image in sources.items():
            if image in self.rows:
                of[self.rows[image]] = row
        self._used[which] += len(news)
        return set(sources.values())

    def _findLimits(self) -> tuple[int, int]:
        """Return the lowest and the highest id of an exposure and of what was made of one."""
        ids = [*self.rows, *self.pairs.sources]
        return min(ids), max(ids)

    def _findThumbs(self, rows: list[int]) -> None:
        """Look for the small pictures of these exposures, which have been corrected."""
        motion = self.view.motion
        if not rows or motion is None:
            return
        names = [self.base["name"][row] for row in rows]
        if len(rows) > FEW:
            folder, suffix = thumbnailPath(motion.folder, "").parent, thumbnailPath("", "x").suffix
            there = listFiles(folder)
            found = [name + suffix in there for name in names]
        else:
            found = [findThumbnail(motion, name) is not None for name in names]
        for row, small in zip(rows, found, strict=True):
            self.thumbs[row] = int(small or self.base["id"][row] in self.pairs.results)

    def answer(self, cursor: str) -> dict[str, Any]:
        """Return what has changed since a cursor, or all where it is of another table."""
        with self.lock:
            token, _, number = cursor.partition(".")
            full = token != self.token or not number.isdecimal()
            since = -1 if full else int(number)
            rows = [row for row in self.order if self.changed[row] > since]
            found = [self.failures.get(self.base["id"][row]) for row in rows]
            return {
                "cursor": f"{self.token}.{self.version}",
                "full": full,
                "order": [self.base["id"][row] for row in rows],
                "columns": self.calcColumns(rows),
                "states": [self._findState(row, failure) for row, failure in zip(rows, found, strict=True)],
                "reasons": [failure[0] if failure else None for failure in found],
            }

    def _sort(self, rows: Iterable[int]) -> list[int]:
        exposed, ids = self.base["exposed"], self.base["id"]
        return sorted(rows, key=lambda row: (exposed[row] or 0.0, ids[row]))

    def calcColumns(self, rows: list[int]) -> dict[str, list[Any]]:
        """Return the values of these rows by column."""
        columns = {name: [column[row] for row in rows] for name, column in self.base.items()}
        places = [self.places.findPlace(self.spots[row][0]) for row in rows]
        columns["square"] = [square and square.image_id for square, _ in places]
        columns["hole"] = [hole and hole.image_id for _, hole in places]
        columns["stored"] = pick(self.motion, "stored", self.of_motion, rows)
        columns["ctf_stored"] = pick(self.ctf, "stored", self.of_ctf, rows)
        both = zip(pick(self.ctf, "seconds_to_result", self.of_ctf, rows),
                   pick(self.motion, "seconds_to_result", self.of_motion, rows), strict=True)  # fmt: skip
        columns["seconds_to_result"] = [first if first is not None else second for first, second in both]
        columns |= {name: pick(self.motion, name, self.of_motion, rows) for name in MOTION_COLUMNS}
        columns |= {name: pick(self.ctf, name, self.of_ctf, rows) for name in CTF_COLUMNS}
        for step in STEPS:
            found, of = self.further.get(step.name, (None, []))
            columns |= {column.name: pick(found, column.name, of, rows) for column in step.columns}
        columns["thumb"] = [self.thumbs[row] for row in rows]
        columns["spectrum"] = [int(bool(name)) for name in pick(self.ctf, "spectrum", self.of_ctf, rows)]
        columns["hidden"] = [int(self.isHidden(self.base["id"][row])) for row in rows]
        return columns

    def findRow(self, exposure: int) -> dict[str, Any] | None:
        """Return an exposure's columns, its state and reason, and its neighbours in time; None if it is none of ours.

        Neighbours are ids, None at either end.
        """
        with self.lock:
            row = self.rows.get(exposure)
            if row is None:
                return None
            order = [self.base["id"][one] for one in self.order]
            place = order.index(exposure)
            failure = self.failures.get(exposure)
            values = {name: column[0] for name, column in self.calcColumns([row]).items()}
            return values | {
                "state": self._findState(row, failure), "reason": failure[0] if failure else "",
                "before": order[place - 1] if place else None, "after": next(iter(order[place + 1 :]), None),
                "number": place + 1, "count": len(order),
            }  # fmt: skip

    def listSquares(self) -> list[dict[str, Any]]:
        """Return the squares, with their holes and the exposures of each."""
        with self.lock:
            return listSquares(self.places, dict(zip(self.rows, self.spots, strict=True)))

    def isHidden(self, image: int) -> bool:
        """Whether an exposure or one of the images made from it is hidden."""
        return any(one in self.hidden.images for one in (image, *self.pairs.results.get(image, ())))

    def _findState(self, row: int, failure: tuple[str, bool] | None) -> str:
        if self.ctf or self.motion:
            done = self.of_ctf[row] >= 0 if self.ctf else self.of_motion[row] >= 0
        else:
            done = all(of[row] >= 0 for _, of in self.joined)
        if done:
            return CORRECTED if self.motion and not self.ctf else DONE
        if failure and failure[1]:
            return FAILED
        return CORRECTED if self.of_motion[row] >= 0 else WAITING

    def listProblems(self) -> list[str]:
        """Return what could not be read at the last look, a line each."""
        found = [*(results.problem for results, _ in self.joined), *(failed.problem for failed in self.failed)]
        return list(dict.fromkeys(filter(None, found)))

    def count(self) -> dict[str, int]:
        """Return how many exposures there are and how far they are."""
        with self.lock:
            aside = [self.rows[image] for image, (_, final) in self.failures.items() if final and image in self.rows]
            states = [self._findState(row, self.failures[self.base["id"][row]]) for row in aside]
            return {
                "taken": len(self.rows), "corrected": len(self.rows) - self.of_motion.count(-1),
                "ctf": len(self.rows) - self.of_ctf.count(-1), "set_aside": states.count(FAILED),
            }  # fmt: skip

    def pickResults(self, names: Collection[str]) -> dict[str, list[Any]]:
        """Return columns of results in the order of the exposures, of those among the names that there are."""
        with self.lock:
            found: dict[str, list[Any]] = {}
            for results, of in self.joined:
                new = [name for name in results.columns if name in names]
                if results.run.kind in self.further:  # the time to a result is that of the steps before
                    new = [name for name in new if name not in found]
                found |= {name: pick(results, name, of, self.order) for name in new}
            return found


def listFiles(folder: Path) -> set[str]:
    """Return the names in a folder; none if it cannot be read."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()
