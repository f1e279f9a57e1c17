"""Pure arithmetic of the loop: back-off, rates, time left, and the words in which reasons are grouped."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence


def calcBackoff(count: int, first: float, longest: float) -> float:
    """Seconds to wait after failure number `count` (1, 2, …): `first`, doubling, at most `longest`."""
    return min(longest, first * 2.0 ** min(max(count, 1) - 1, 60))


def calcRate(times: Sequence[float], now: float, horizon: float = 1800.0) -> float | None:
    """Events per hour among ascending `times` within the last `horizon` seconds; None if fewer than two.

    Time since the last event counts, so that a rate falls when nothing happens any more.
    """
    recent = [time for time in times if now - time <= horizon]
    if len(recent) < 2 or now <= recent[0]:
        return None
    return 3600.0 * len(recent) / max(now - recent[0], 1e-3)


def calcQuantile(values: Iterable[float], share: float) -> float | None:
    """The value below or at which a `share` of `values` lies (nearest rank); None if there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def calcTimeLeft(left: int, rate: float | None, arriving: float | None = None) -> float | None:
    """Seconds until `left` exposures are done at `rate` while others arrive (both per hour).

    None: not known, or never, because they arrive as fast as they are done.
    """
    if left == 0:
        return 0.0
    net = (rate or 0.0) - (arriving or 0.0)
    return 3600.0 * left / net if net > 0 else None


def isFallingBehind(left: int, rate: float | None, arriving: float | None) -> bool:
    """Whether more arrives than gets done, by more than a tenth, with a visible backlog."""
    return left > 20 and arriving is not None and rate is not None and arriving > 1.1 * rate


#: What stands before a file's name: its folder, back to a blank, quotation mark or bracket.
FOLDER = re.compile(r"[^\s'\"(\[]*$")


def calcReasonGroup(reason: str, filename: str = "") -> str:
    """A reason without what differs from image to image: folders, its file name, numbers.

    >>> calcReasonGroup('/data/a/img_0001.mrc has 12 of 512 bytes', 'img_0001')
    '….mrc has N of N bytes'
    """
    if filename and filename in reason:  # a pattern of each name would have to be compiled for each
        *before, last = reason.split(filename)
        reason = "…".join([*(FOLDER.sub("", part) for part in before), last])
    return re.sub(r"\d+(\.\d+)?", "N", reason)


#: A word of a reason: between blanks, quotation marks, brackets, and what parts a sentence or an option from its value.
WORD = re.compile(r"[^\s'\"`()\[\]{}<>,;=]+")


def calcAlike(reason: str, filename: str = "") -> str:
    """A reason without all that may be of one image: paths, files, its name and what is made of it, numbers.

    >>> calcAlike("cannot read '/data/a/img_0001.mrc' at 0x7f3a: error 3", "img_0001")
    "cannot read '…' at …: error …"
    """
    if filename:
        reason = reason.replace(filename, "0")
    return WORD.sub(lambda word: _replaceOwn(word[0]), reason)


def _replaceOwn(word: str) -> str:
    """The dots in place of a word with a number or a slash in it; what ends a sentence stays."""
    bare = word.rstrip(".:!?")
    return "…" + word[len(bare) :] if "/" in bare or any(letter.isdigit() for letter in bare) else word


def formatDuration(seconds: float) -> str:
    """A time span in the one or two units a person would use."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes >= 3 else f"{60 * minutes + seconds} s"
