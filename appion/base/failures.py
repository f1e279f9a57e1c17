"""The four classes of failure, each with its own answer from the loop.

Calculation functions raise them on a worker; they travel back through Dask, so every one can be pickled. Anything else
that is raised is sorted by :func:`classifyException`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Failure(Exception):
    """Why an exposure was not done.

    Attributes:
        reason: one line: what is wrong, with the name and the value.
        remedy: one line: what to do about it; empty if nothing can be said.
        command: the program's command line, if one was run.
        host: where it happened.
        log_tail: the last lines of the program's output or the traceback.
    """

    reason: str
    remedy: str = ""
    command: str = ""
    host: str = ""
    log_tail: str = ""

    kind = "image"

    def __str__(self) -> str:
        return f"{self.reason} ({self.remedy})" if self.remedy else self.reason

    def __reduce__(self):
        return type(self), (self.reason, self.remedy, self.command, self.host, self.log_tail)


class NotReady(Failure):
    """The input is missing, still growing or truncated: wait, it costs no attempt."""

    kind = "not ready"


class Outdated(NotReady):
    """The input is not where the record of the exposure says, but elsewhere: the record has to be made again."""


class ImageFailure(Failure):
    """The program failed on this image: back off, try again a few times, then set it aside with the reason."""

    kind = "image"


class InfrastructureFailure(Failure):
    """A worker, node, GPU, disk or database failed: try elsewhere or pause; the image is never blamed."""

    kind = "infrastructure"


class ConfigurationFailure(Failure):
    """A program, calibration or option is missing or wrong: stop early and say what to do."""

    kind = "configuration"


def classifyException(error: BaseException, host: str = "") -> Failure:
    """Return `error` as one of the four classes; a :class:`Failure` is returned as it is.

    What the operating system refuses (an OSError with a number, whatever the number) and a lack of memory are the
    host's. Whoever reads an exposure's own files finds out before that whether only these cannot be read
    (:func:`appion.base.retrieve.access.judgeAccess`). Everything else is held against the image, with the end of the
    traceback as its log tail.
    """
    if isinstance(error, Failure):
        return error
    tail = "".join(traceback.format_exception(error))[-4000:]
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        remedy = f"look after the disks and the memory of {host or 'this host'}; it is tried again"
        return InfrastructureFailure(reason, remedy, host=host, log_tail=tail)
    return ImageFailure(reason, host=host, log_tail=tail)


def tryEach(ids: Iterable[int], construct: Callable[[int], T]) -> dict[int, T | Failure]:
    """Return what `construct` makes of each image, or its failure: one odd row must not keep others from being read."""
    found: dict[int, T | Failure] = {}
    for image_id in ids:
        try:
            found[image_id] = construct(image_id)
        except Exception as error:
            found[image_id] = classifyException(error)
    return found
