"""The page of one exposure: everything that is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from appion.base.calc.plain import makePlain
from appion.base.failures import ConfigurationFailure
from appion.base.records.series import CTF, MOTION, STEPS, TAKEN
from appion.base.records.steps import Column
from appion.base.retrieve.runs import MOTION as MOTION_RUN
from appion.base.retrieve.runs import WORDS, Run
from appion.base.retrieve.session import Session
from appion.base.retrieve.story import (
    describeAttempt,
    describeEvent,
    describeFiles,
    describeRecord,
    formatClock,
    readStory,
)
from appion.web.calc.words import FURTHER
from appion.web.retrieve.condition import readState
from appion.web.retrieve.pairs import listResults
from appion.web.retrieve.pictures import findDriftPlot, findMicrograph
from appion.web.retrieve.sessions import View
from appion.web.retrieve.tables import findTable
from appion.web.views.asked import findView
from appion.web.views.pictures import listGraphs

#: What is shown in words of its own elsewhere on the page, or means something to programs only.
LEFT_OUT = frozenset({"id", "image", "name", "spectrum", "thumb", "hidden"})

#: Columns that are times.
TIMES = frozenset({"exposed", "stored", "ctf_stored"})

GROUPS = (("How it was taken", (*TAKEN, *FURTHER)), ("Motion", MOTION), ("CTF", CTF),
          *((step.words.capitalize(), step.columns) for step in STEPS))  # fmt: skip


@require_safe
def showExposure(request: HttpRequest, name: str, exposure: int) -> HttpResponse:
    """The page."""
    view = findView(request, name)
    row = findTable(view).findRow(exposure)
    if row is None:
        raise Http404(f"Image {exposure} is no exposure of these runs of session {view.session.name!r}.")
    results = listResults(view, exposure)
    return render(request, "exposure.html", {
        "view": view, "session": view.session, "query": view.query, "exposure": exposure, "row": row,
        "micrographs": listMicrographs(view.session, exposure, results),
        "has_drift": bool(view.motion and findDriftPlot(view.motion, row["name"])),
        "graphs": listGraphs(view, exposure),
        "groups": [(title, list(describeNumbers(row, columns))) for title, columns in GROUPS],
        "live": any(run and readState(run.folder).running for run in view.shown),
        "stories": list(describeRuns(view, exposure, row["name"], results)),
    })  # fmt: skip


def listMicrographs(session: Session, exposure: int, results: list[int]) -> list[dict[str, Any]]:
    """Return the pictures there may be of an exposure, the one to begin with first."""
    found = [(image, findMicrograph(session, image)) for image in results]
    known = [(image, one) for image, one in found if one is not None and Path(one.path).is_file()]
    weighted = [{"id": image, "words": "dose-weighted"} for image, one in known if one.name.endswith("-DW")]
    plain = [{"id": image, "words": "not dose-weighted"} for image, one in known if not one.name.endswith("-DW")]
    raw = findMicrograph(session, exposure)
    own = [{"id": exposure, "words": "as Leginon wrote it"}] if raw and Path(raw.path).is_file() else []
    return [*weighted, *plain, *own]


def describeNumbers(row: dict[str, Any], columns: tuple[Column, ...]) -> Iterator[tuple[str, str]]:
    """Yield words and value with its unit of what is known."""
    for column in columns:
        value = row.get(column.name)
        if value is None or column.name in LEFT_OUT:
            continue
        if column.name in TIMES:
            yield column.words, formatClock(value)
        elif isinstance(value, (int, float)) and column.digits is not None:
            yield column.words, f"{value:.{column.digits}f} {column.unit}".strip()
        else:
            yield column.words, str(value)


def describeRuns(view: View, exposure: int, name: str, results: list[int]) -> Iterator[dict[str, Any]]:
    """Yield what the run folders tell, as `appion explain` does: events, failure, record and files of each run."""
    for run in view.shown:
        if run.folder:
            images = [exposure] if run.kind == MOTION_RUN else [exposure, *results]
            words = WORDS[run.kind]
            parts = describeStory(run, images, name)
            yield {"title": f"{words[0].upper()}{words[1:]} ({run.name})", "folder": run.folder, "parts": parts}


def describeStory(run: Run, images: list[int], name: str) -> list[tuple[str, list[str]]]:
    """Return title and lines of what there is."""
    folder = Path(run.folder)
    try:
        parts = [
            ("What happened", [describeEvent(event) for image in images for event in readStory(folder, image)]),
            ("Failure that is remembered", [line for image in images for line in describeAttempt(folder, image)]),
            ("Result in the journal", [line for image in images for line in describeRecord(folder, image)]),
            ("Files in the run folder", list(describeFiles(folder, name))),
        ]
    except (OSError, ConfigurationFailure) as error:
        return [("The run folder cannot be read", [makePlain(getattr(error, "strerror", None) or error)])]
    return [(title, [makePlain(line).strip() for line in lines]) for title, lines in parts if lines]
