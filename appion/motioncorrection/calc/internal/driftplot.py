"""The plot of how an exposure drifted: where the specimen was in each frame."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from appion.motioncorrection.calc.internal.trajectory import calcSteps

#: Side of the plot, and what is left free around the path, pixels.
SIDE, MARGIN = 320, 44

#: Everything is drawn so many times larger and then brought to size, so that lines are smooth.
FINE = 3

#: An extent (Å) below which drift does not look larger any more.
LEAST_EXTENT = 2.0

PAPER, INK, EARLY, LATE = "#ffffff", "#333333", "#d95f02", "#1b6ca8"


def drawDrift(path: Path | str, positions: Sequence[tuple[float, float]], early: int) -> None:
    """Write the path of the specimen to the PNG file `path`, equal scales in both directions, y upwards.

    The first frame has a ring; steps of the early frames are orange, later ones blue.

    Args:
        positions: (x, y) of each frame, Å. early: to how many of them early steps lead, the first frame included.
    """
    places, scale = calcPlaces(positions)
    picture = Image.new("RGB", (SIDE * FINE, SIDE * FINE), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, (here, there) in enumerate(pairwise(places), 1):
        draw.line([here, there], EARLY if number < early else LATE, width=2 * FINE)
    for number, place in enumerate(places):
        drawDot(draw, place, 2.5, EARLY if number < early else LATE)
    if places:
        drawDot(draw, places[0], 7.0, None)
    drawBar(draw, scale)
    draw.text((12 * FINE, 10 * FINE), f"{sum(calcSteps(positions)):.1f} Å", INK, loadFont(18 * FINE))
    picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).quantize(64).save(path, optimize=False)


def calcPlaces(positions: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], float]:
    """Return where positions (Å) are in the fine picture, their extent in its middle, and its pixels per Å."""
    xs, ys = ([position[axis] for position in positions] or [0.0] for axis in (0, 1))
    extent = max(max(xs) - min(xs), max(ys) - min(ys), LEAST_EXTENT)
    scale = (SIDE - 2 * MARGIN) * FINE / extent
    middle = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    half = SIDE * FINE / 2
    return [(half + (x - middle[0]) * scale, half - (y - middle[1]) * scale) for x, y in positions], scale


@functools.cache
def loadFont(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of matplotlib in a size in pixels: that of Pillow has no Å."""
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def drawDot(draw: ImageDraw.ImageDraw, place: tuple[float, float], radius: float, colour: str | None) -> None:
    """Draw a dot, or a ring where no colour is given."""
    x, y, reach = *place, radius * FINE
    box = (x - reach, y - reach, x + reach, y + reach)
    draw.ellipse(box, fill=colour, outline=colour or INK, width=2 * FINE if colour is None else 1)


def drawBar(draw: ImageDraw.ImageDraw, scale: float) -> None:
    """Draw a bar of a round length with its length, at the lower left."""
    longest = SIDE * FINE / 3 / scale
    power = 10 ** math.floor(math.log10(longest))
    length = next(step * power for step in (5, 2, 1) if step * power <= longest)
    left, bottom = 14 * FINE, (SIDE - 16) * FINE
    draw.line([(left, bottom), (left + length * scale, bottom)], INK, width=3 * FINE)
    draw.text((left, bottom - 22 * FINE), f"{length:g} Å", INK, loadFont(14 * FINE))
