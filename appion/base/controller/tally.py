"""Exposures by a reason that many share: counted as they come and go, so that telling of them costs the same for any
number of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, nlargest


@dataclass(eq=False)
class Group:
    """Those that share a reason: how many, how many of them are marked."""

    key: Hashable
    count: int = 0
    marked: int = 0
    _heap: list[int] = field(default_factory=list)  # negative ids; who has left stays inside until it comes up


class Tally:
    """Groups of exposures, each exposure in one of them at most."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, Group] = {}
        self._of: dict[int, Group] = {}
        self._marked: set[int] = set()
        self._sizes: dict[int, dict[Hashable, Group]] = {}  # the groups of each size

    def __len__(self) -> int:
        return len(self._of)

    def put(self, image_id: int, key: Hashable, marked: bool = False) -> None:
        """Put an exposure into the group of this key, out of any other."""
        group = self._of.get(image_id)
        if group is None or group.key != key:
            self.drop(image_id)
            group = self._groups.get(key) or self._groups.setdefault(key, Group(key))
            self._of[image_id] = group
            self._resize(group, 1)
            heappush(group._heap, -image_id)
            if len(group._heap) > 2 * group.count + 100:
                self._tidy(group)
        if marked is not (image_id in self._marked):
            (self._marked.add if marked else self._marked.discard)(image_id)
            group.marked += 1 if marked else -1

    def drop(self, image_id: int) -> None:
        """Take an exposure out of its group, if it is in any."""
        group = self._of.pop(image_id, None)
        if group is None:
            return
        if image_id in self._marked:
            self._marked.discard(image_id)
            group.marked -= 1
        self._resize(group, -1)

    def listLargest(self, number: int) -> list[Group]:
        """At most so many groups, the largest first; what it looks at are the sizes there are, not the exposures."""
        groups: list[Group] = []
        for size in nlargest(number, self._sizes):
            groups += [group for group, _ in zip(self._sizes[size].values(), range(number - len(groups)), strict=False)]
        return groups

    def listNewest(self, group: Group, number: int) -> list[int]:
        """At most so many ids of a group, the highest of them, ascending."""
        found: list[int] = []
        while group._heap and len(found) < number:
            image_id = -heappop(group._heap)
            if self._of.get(image_id) is group and image_id not in found:
                found.append(image_id)
        for image_id in found:
            heappush(group._heap, -image_id)
        return found[::-1]

    def _resize(self, group: Group, change: int) -> None:
        if group.count:
            same = self._sizes[group.count]
            del same[group.key]
            if not same:
                del self._sizes[group.count]
        group.count += change
        if group.count:
            self._sizes.setdefault(group.count, {})[group.key] = group
        else:
            del self._groups[group.key]

    def _tidy(self, group: Group) -> None:
        group._heap = [-image_id for image_id in {-item for item in group._heap} if self._of.get(image_id) is group]
        heapify(group._heap)
