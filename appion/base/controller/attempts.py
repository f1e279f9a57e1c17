"""What failed, by id: kept together with what is not yet written down of it, and counted by reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from appion.base.calc.pace import calcReasonGroup
from appion.base.controller.tally import Tally
from appion.base.records.attempt import FATE, Attempt, encodeAttempt


class Attempts(dict[int, Attempt]):
    """The last failure of each exposure. Once that is written down, what its program printed is kept there alone."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()
        self.changes: dict[int, bool] = {}  # not yet written down: whether all of it, or only its fate

    def recall(self, attempt: Attempt) -> None:
        """Take over what is written down."""
        self[attempt.image_id] = attempt

    def note(self, attempt: Attempt) -> None:
        """It failed."""
        self[attempt.image_id] = attempt
        self.changes[attempt.image_id] = True

    def alter(self, image_id: int, **fate: Any) -> None:
        """Something of its fate is another now."""
        self[image_id] = replace(self[image_id], **fate)
        self.changes.setdefault(image_id, False)

    def forget(self, image_id: int) -> None:
        """Its failures count no more, if there are any, here or written down."""
        self.pop(image_id, None)
        self.tally.drop(image_id)
        self.changes[image_id] = False

    def count(self, image_id: int, counts: bool) -> None:
        """Have it counted among the failures, or not."""
        attempt = self.get(image_id)
        if attempt is None or not counts:
            self.tally.drop(image_id)
            return
        group = calcReasonGroup(attempt.reason, attempt.filename)
        self.tally.put(image_id, (attempt.kind, group), attempt.next_try is None)

    def listChanges(self) -> Iterator[dict[str, Any]]:
        """What is to be written down: whole, in part, or only the id of one that is forgotten."""
        for image_id, whole in self.changes.items():
            attempt = self.get(image_id)
            if attempt is None:
                yield {"image_id": image_id}
            else:
                record = encodeAttempt(attempt)
                yield record if whole else {name: record[name] for name in ("image_id", *FATE)}

    def settle(self) -> None:
        """All of that is written down."""
        for image_id, whole in self.changes.items():
            if whole and image_id in self:
                self[image_id] = replace(self[image_id], log_tail="", command="")
        self.changes.clear()

    def listKnown(self, ids: Iterable[int] | None) -> list[int]:
        """Those of the ids that failed, or all, ascending."""
        return sorted(self if ids is None else self.keys() & set(ids))
