"""Which images have the stage tilt that is asked for."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from appion.base.calc.limits import TILT, checkValue
from appion.base.failures import ConfigurationFailure

logger = logging.getLogger(__name__)

#: Whether a stage tilt in degrees is wanted.
TILT_TESTS: dict[str, Callable[[float], bool]] = {
    "notilt": lambda tilt: abs(tilt) <= 3,
    "hightilt": lambda tilt: abs(tilt) >= 30,
    "lowtilt": lambda tilt: abs(tilt) < 30,
    "minustilt": lambda tilt: tilt <= -2,
    "plustilt": lambda tilt: tilt >= 2,
    "all": lambda _tilt: True,
}


class Tilted(Protocol):
    """An image; `stage_a` in radians."""

    @property
    def image_id(self) -> int: ...

    @property
    def filename(self) -> str: ...

    @property
    def stage_a(self) -> float | None: ...


AnyTilted = TypeVar("AnyTilted", bound=Tilted)


@dataclass
class Some:
    """How many there are, and the first few of them."""

    number: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """One more."""
        self.number += 1
        if self.number <= 5:
            self.names.append(name)

    def __str__(self) -> str:
        return ", ".join(self.names) + (" …" if self.number > len(self.names) else "")


@dataclass
class TiltFilter:
    """Lets pass the images of the wanted stage tilt, page by page, and keeps what is to be told in the end.

    Attributes:
        tiltangle: a key of :data:`TILT_TESTS`.
        looked_at: of images up to this id it was told before; 0: this is the first look.
    """

    tiltangle: str
    looked_at: int = 0
    unknown: Some = field(default_factory=Some)
    tilted: int = 0
    odd: int = 0
    first_odd: Tilted | None = None

    def choose(self, images: Sequence[AnyTilted]) -> list[AnyTilted]:
        """The images of the wanted tilt."""
        chosen = []
        for image in images:
            new = image.image_id > self.looked_at
            if image.stage_a is None:
                if new:
                    self.unknown.add(image.filename)
                continue
            self.tilted += 1
            tilt = math.degrees(image.stage_a)
            if not TILT.allows(tilt):
                self.odd += new
                self.first_odd = self.first_odd or (image if new else None)
            elif TILT_TESTS[self.tiltangle](tilt):
                chosen.append(image)
        return chosen

    def tell(self) -> None:
        """Tell of those whose tilt is not recorded, or cannot be.

        Raises:
            ConfigurationFailure: at the first look no image has a tilt that can be.
        """
        if self.unknown.number:
            logger.warning("--tiltangle=%s: %d images without a recorded stage tilt are left out: %s", self.tiltangle,
                           self.unknown.number, self.unknown)
        if self.first_odd is None:
            return
        try:
            checkValue(TILT, self.first_odd.stage_a, f"image {self.first_odd.image_id}: stage position a", "rad",
                       "column")
        except ConfigurationFailure as failure:
            if self.odd == self.tilted and not self.looked_at:
                raise
            logger.warning("--tiltangle=%s: %d images are left out: %s", self.tiltangle, self.odd, failure)
