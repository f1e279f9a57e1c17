"""The numbers of what is stored: each exposure has a line in the series of the run before its journal record goes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from typing import Any

from appion.base.calc.numbers import constructLine
from appion.base.controller.run import Run
from appion.base.failures import InfrastructureFailure
from appion.base.records.runfolder import journalPath, seriesPath
from appion.base.records.series import IMAGE, NAME
from appion.base.retrieve.journal import readResult
from appion.base.retrieve.series import readLast, readSeries
from appion.base.store.series import saveSeries

#: What the time of a line may be short of that of its record, seconds.
ROUNDING = 0.001

logger = logging.getLogger(__name__)


def noteNumbers(run: Run, image_id: int, result: Any, stored: float | None = None) -> dict[str, Any]:
    """Append the line of a result that is stored, now or at another time; returns what an event tells of it.

    Raises:
        InfrastructureFailure: the run folder is away, or takes no line; it is to be repeated, which harms nothing.
    """
    name = run.exposures.names.get(image_id, "")
    line = constructLine(image_id, name, measureResult(run, name, result), stored or time.time())
    run.lock.check()  # storing may have taken long
    try:
        saveSeries(run.rundir, [line])
    except OSError as error:
        raise InfrastructureFailure(
            f"{seriesPath(run.rundir)} takes no line: {error.strerror or error}",
            "make room there, or look at its mount; it is tried again",
        ) from error
    run.reporter.results.append(line)
    return {key: value for key, value in line.items() if key not in (IMAGE, NAME, "stored")}


def measureResult(run: Run, name: str, result: Any) -> dict[str, Any]:
    """The numbers of a result. It is stored in any case: one of which they cannot be made has none."""
    try:
        return dict(run.step.measure(result))
    except Exception as error:
        logger.debug("the numbers of %s", name, exc_info=True)
        run.reporter.warn(name, [f"no numbers: {type(error).__name__}: {error}"])
        return {}


def recoverSeries(run: Run, ids: Iterable[int]) -> None:
    """Write the lines that a daemon which was killed had not written of these exposures, whose records are there.

    Of a run of an earlier version, which had no series, what its events tell comes first.

    Raises:
        OSError: as the system gives it; to be repeated.
    """
    if not seriesPath(run.rundir).exists() and (told := readSeries(run.rundir).lines):
        saveSeries(run.rundir, told.values())
    ids = list(ids)
    lines = readSeries(run.rundir).lines if ids else {}
    for image_id in ids:
        try:
            recorded = os.stat(journalPath(run.rundir, image_id)).st_mtime
            if lines.get(image_id, {}).get("stored", 0.0) >= recorded - ROUNDING:
                continue
            result = run.step.decode(readResult(run.rundir, image_id) or {})
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # it is stored: its record is of no use any more
            continue
        noteNumbers(run, image_id, result, recorded)
    run.reporter.results.clear()
    run.reporter.results.extend(readLast(run.rundir, run.reporter.results.maxlen or 1))
