"""Whether a micrograph, or the movie used in its place, is complete."""

from __future__ import annotations

from appion.base.retrieve.picture import checkComplete
from appion.ctfestimation.records import CTFTask


def checkReady(task: CTFTask, settle: float) -> None:
    """Return if the input and the micrograph are there, unchanged for `settle` seconds and as long as headers say.

    Raises:
        NotReady: one is missing, changing or truncated.
        ImageFailure: one can never be read.
        InfrastructureFailure: the disk does not answer.
    """
    for path in dict.fromkeys((task.params.micrograph, task.params.input)):
        checkComplete(path, settle)
