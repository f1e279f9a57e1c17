"""The candidates of a session, in a few bytes each."""

from __future__ import annotations

from collections.abc import Iterator

from appion.base.records.ids import Names
from appion.base.step import Candidate


class Candidates:
    """Those above an id among images by id and name, ascending; each is made when it is asked for."""

    def __init__(self, names: Names, after_id: int):
        self._names, self._after, self._last = names, after_id, names.ids[-1] if names.ids else after_id

    def __iter__(self) -> Iterator[Candidate]:
        return (Candidate(*pair) for pair in self._names.listBetween(self._after, self._last))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, (Candidates, list)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return sum(1 for _ in self)
