"""The numbers of a run's results, kept in memory in columns: what is new is added, nothing is read twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Container, Sequence
from typing import Any

from appion.base.records import series
from appion.base.records.runfolder import eventsPath, seriesPath
from appion.base.records.series import IMAGE
from appion.base.retrieve.runs import CTF, MOTION, Run
from appion.base.retrieve.series import Series, readSeries
from appion.web.retrieve.classic import countResults, readResults

#: The fields of a line that are kept, by the kind of the run. How an exposure was taken tell Leginon's own rows.
COLUMNS = {
    kind: ("stored", "seconds_to_result", *(column.name for column in columns))
    for kind, columns in (
        (MOTION, series.MOTION), (CTF, series.CTF), *((step.name, step.columns) for step in series.STEPS)
    )
}  # fmt: skip

#: So many results are kept in memory, of the runs that were asked for last.
KEPT = 100_000


class Results:
    """Columns of a run, one row for each image with a result.

    Attributes:
        index: image -> row. images: row -> image.
        columns: name -> values by row, None where there is none.
        news: rows in the order in which they were added or changed; it only grows.
        problem: why the run folder could not be read; empty if it could.
        generation: is another number when everything was read anew, from another file in its place.
    """

    def __init__(self, run: Run, names: Container[str] | None = None) -> None:
        """Begin without any; of the fields of lines those with these names are kept, else all of :data:`COLUMNS`."""
        self.run = run
        self.names = [name for name in COLUMNS[run.kind] if names is None or name in names]
        self.generation = 0
        self.problem = ""
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.generation += 1
        self.index: dict[int, int] = {}
        self.images: list[int] = []
        self.columns: dict[str, list[Any]] = {name: [] for name in self.names}
        self.news: list[int] = []
        self._series: Series | None = None
        self._last_row = 0
        self._rows_read = False

    def update(self) -> None:
        """Read what is new: lines of the series; of a run without one rows, by two queries at most.

        A folder that cannot be read now is a `problem`; what was read before stays.
        """
        with self._lock:
            try:
                self.problem = ""
                if self.run.folder and hasSeries(self.run.folder):
                    self._readLines()
            except OSError as error:
                self.problem = f"{self.run.folder} cannot be read: {error.strerror or error}"
            has_rows = self.run.kind in (MOTION, CTF)
            if has_rows and (not self.index or self._series is None or not self._rows_read):
                self._readRows()

    def _readLines(self) -> None:
        before = self._series
        found = readSeries(self.run.folder, before)
        if before is not None and before.inode and (before.device, before.inode) != (found.device, found.inode):
            self._clear()
        self._series = found
        self._add(list(found.lines.values()))

    def _readRows(self) -> None:
        """Add what rows tell of images that have no line: those of another program, or of an older version."""
        if self._series is not None and not self._rows_read and countResults(self.run) <= len(self.index):
            self._rows_read = True
            return
        lines, self._last_row = readResults(self.run, self._last_row)
        last = {line[IMAGE]: line for line in lines if self._series is None or line[IMAGE] not in self.index}
        self._add(list(last.values()))
        self._rows_read = self._series is not None

    def _add(self, lines: Sequence[dict[str, Any]]) -> None:
        """Add lines of images, each of which is among them once; of one that is known already they replace the row."""
        new = [line for line in lines if line[IMAGE] not in self.index]
        start = len(self.images)
        for name, column in self.columns.items():
            column.extend([line.get(name) for line in new])
        for line in new:
            self.index[line[IMAGE]] = len(self.images)
            self.images.append(line[IMAGE])
        self.news.extend(range(start, len(self.images)))
        if len(new) < len(lines):
            self._replace([line for line in lines if self.index[line[IMAGE]] < start])

    def _replace(self, lines: Sequence[dict[str, Any]]) -> None:
        for line in lines:
            row = self.index[line[IMAGE]]
            for name, column in self.columns.items():
                column[row] = line.get(name)
            self.news.append(row)


_kept: OrderedDict[Run, Results] = OrderedDict()
_lock = threading.Lock()


def findResults(run: Run) -> Results:
    """Return the results of a run, the same to everybody who asks while they are kept; not updated."""
    with _lock:
        found = _kept.setdefault(run, Results(run))
        _kept.move_to_end(run)
        while len(_kept) > 1 and sum(len(one.index) for one in _kept.values()) > KEPT:
            _kept.popitem(last=False)
    return found


def forgetResults() -> None:
    """Forget all that is kept."""
    with _lock:
        _kept.clear()


def pick(results: Results | None, name: str, of: list[int], rows: Sequence[int]) -> list[Any]:
    """Return the values of a column of results for these rows, None where there is no result."""
    if results is None:
        return [None] * len(rows)
    column = [*results.columns[name], None]
    return [column[of[row]] for row in rows]


def hasSeries(rundir: str) -> bool:
    """Whether a daemon of this package has stored results in a run folder."""
    return seriesPath(rundir).exists() or eventsPath(rundir).exists()
