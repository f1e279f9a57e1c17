"""The settings that the number of workers follows from, for whatever starts workers."""

from __future__ import annotations

from appion.base.config import setting
from appion.base.workers.scaling import Bounds


def readBounds() -> Bounds:
    """The settings of scaling."""
    return Bounds(
        minimum=int(setting("jobs.minimum")), maximum=int(setting("jobs.maximum")), latency=setting("jobs.latency"),
        hold=setting("jobs.hold"), warm=setting("jobs.warm"), assumed=setting("jobs.assumed_seconds"),
    )  # fmt: skip
