"""Optics groups: micrographs that were taken with the same pixel size, voltage, lens and, if asked for, image shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Image shifts (µm) that are no further apart than this, from one to the next, are one position.
LINK = 0.2


@dataclass(frozen=True)
class Optics:
    """What RELION has to know of a group: pixel sizes in Å before and after binning, kV, mm, a fraction."""

    pixelsize: float
    voltage: float
    cs: float | None = None
    contrast: float | None = None
    original: float | None = None
    position: int = 0


def assignGroups(optics: Sequence[Optics]) -> tuple[list[Optics], list[int]]:
    """Return the groups that there are, and the number of each micrograph's, from 1 in the order of their coming."""
    groups = {one: number for number, one in enumerate(dict.fromkeys(optics), 1)}
    return list(groups), [groups[one] for one in optics]


def clusterShifts(shifts: Sequence[tuple[float, float] | None], link: float = LINK) -> list[int]:
    """Return for each image shift (µm) the number of its position, from 1 by frequency; 0 where it is not known.

    Two shifts are of one position if steps of no more than `link` lead from one to the other.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    places = {shift: place for place, shift in enumerate(dict.fromkeys(filter(None, shifts)))}
    if not places:
        return [0] * len(shifts)
    # Of ten thousand shifts around a few positions, cells that are close have as much to say as the shifts themselves.
    points = np.array(list(places))
    cells, owner = np.unique(np.round(points / (link / 4)), axis=0, return_inverse=True)
    pairs = cKDTree(cells * (link / 4)).query_pairs(link, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(cells),) * 2)
    labels = connected_components(graph, directed=False)[1][owner.ravel()]
    found = [-1 if shift is None else int(labels[places[shift]]) for shift in shifts]
    often = sorted(set(found) - {-1}, key=lambda label: (-found.count(label), label))
    number = {label: place for place, label in enumerate(often, 1)} | {-1: 0}
    return [number[label] for label in found]
