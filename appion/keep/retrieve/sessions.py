"""Which sessions there are and what they have: a constant number of queries, and one alone while nothing comes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Min

import sinedon
from appion.base.retrieve.images import MANUAL, OVERLAP
from appion.base.retrieve.paths import expandVariables
from appion.base.retrieve.taken import calcTime
from appion.keep.records import Preset, Session
from sinedon import Totals, readTotals
from sinedon.models import leginondata, projectdata

#: What exposures of a group have in common: session, preset, camera, microscope, and what their movies and rows are.
GROUP = ("session_id", "preset__name", "camera__ccdcamera_id", "scope__tem_id", "camera__tiff_frames",
         "camera__eer_frames", "camera__align_frames")  # fmt: skip

Key = tuple[Any, ...]


@dataclass
class Watch:
    """The exposures with movies of the last `days`, by what they have in common, as of the last :meth:`update`."""

    days: float
    groups: dict[Key, tuple[int, int, float]] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    rows: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    instruments: dict[int, str] = field(default_factory=dict)
    newest: int = 0
    asked: list[Totals] = field(default_factory=list)
    heard: list[tuple[Any, ...]] = field(default_factory=list)

    def update(self, afresh: bool = False) -> bool:
        """Read what is new, and return whether there may be anything; `afresh`: read it in any case."""
        if self.asked and not afresh and readTotals(self.asked) == self.heard:
            return False
        first = not self.newest
        newest = leginondata.AcquisitionImageData.objects.aggregate(newest=Max("def_id"))["newest"] or 0
        asked = [
            Totals(leginondata.AcquisitionImageData, {"def_id": (max(0, newest - OVERLAP), None)}),
            Totals(leginondata.SessionDoneLog, {}, "done", ((1, 1),)),
            Totals(projectdata.projectexperiments, {}),
        ]
        heard = readTotals(asked)  # before the rows are read: what comes meanwhile is news the next time
        self.readGroups(first)
        self.newest = newest
        self.dropOld()
        self.sessions = self.constructSessions()
        self.asked, self.heard = asked, heard
        return True

    def readGroups(self, first: bool) -> None:
        """Take in exposures since the last look, or at first those of the last days."""
        images = leginondata.AcquisitionImageData.objects.filter(camera__save_frames=True, session_id__gt=0)
        if first:
            images = images.filter(def_timestamp__gte=datetime.now() - timedelta(days=self.days))
        else:
            images = images.filter(def_id__gt=max(0, self.newest - OVERLAP))
        ends = images.values_list(*GROUP).annotate(Min("def_id"), Max("def_id"), Max("def_timestamp")).order_by()
        now = time.time()
        for *key, low, high, written in ends:
            before = self.groups.get(tuple(key), (low, 0, 0.0))
            came = min(now, calcTime(written) or now) if first else now
            seen = came if high > before[1] else before[2]
            self.groups[tuple(key)] = min(before[0], low), max(before[1], high), seen

    def dropOld(self) -> None:
        """Forget what got no exposure for so long."""
        since = time.time() - 86400 * self.days
        self.groups = {key: group for key, group in self.groups.items() if group[2] >= since}

    def constructSessions(self) -> dict[int, Session]:
        """Return the sessions by id; a few queries for any number of them."""
        ids = {key[0] for key in self.groups}
        unknown = ids - self.rows.keys()
        if unknown:
            rows = leginondata.SessionData.objects.filter(def_id__in=unknown)
            for def_id, name, *paths in rows.values_list("def_id", "name", "image_path", "frame_path"):
                self.rows[def_id] = (name or "", paths[0] or "", paths[1] or "")
        instruments = {one for key in self.groups for one in key[2:4] if one} - self.instruments.keys()
        if instruments:
            found = leginondata.InstrumentData.objects.filter(def_id__in=instruments)
            self.instruments |= {def_id: name or "" for def_id, name in found.values_list("def_id", "name")}
        projects, finished, buffers = readProjects(ids), readFinished(ids), readBuffers(ids)
        return {one: Session(one, *self.rows[one], tuple(projects.get(one, ())), finished.get(one, False),
                             self.constructPresets(one, buffers))
                for one in sorted(ids, reverse=True) if one in self.rows}  # fmt: skip

    def constructPresets(self, session_id: int, buffers: dict[tuple[int, int], str]) -> tuple[Preset, ...]:
        """Return the presets of a session's exposures, the newest first, without those of results."""
        own = {key: group for key, group in self.groups.items() if key[0] == session_id}
        plain = {key[1] for key in own if not key[6]}
        found = []
        for key, (first, last, seen) in own.items():
            name, ccd, tem = key[1] or MANUAL, key[2] or 0, key[3] or 0
            if key[6] and any(one and name.startswith(f"{one}-") for one in plain):
                continue  # an aligned image, which has the camera's row of its exposure
            kind = "eer" if key[5] else "tif" if key[4] else "mrc"
            found.append(Preset(name, self.instruments.get(tem, ""), self.instruments.get(ccd, ""), kind, first, last,
                                seen, buffers.get((session_id, ccd), "")))  # fmt: skip
        return tuple(sorted(found, key=lambda preset: -preset.last))


def readProjects(ids: set[int]) -> dict[int, list[int]]:
    """Return the projects of sessions, the newest record first, each once."""
    found: dict[int, list[int]] = {}
    rows = projectdata.projectexperiments.objects.filter(session_id__in=ids).order_by("-def_id")
    for session_id, project in rows.values_list("session_id", "project_id"):
        if project and project not in found.setdefault(session_id, []):
            found[session_id].append(project)
    return found


def readFinished(ids: set[int]) -> dict[int, bool]:
    """Return whether sessions are declared finished, by their newest rows."""
    rows = leginondata.SessionDoneLog.objects.filter(session_id__in=ids).order_by("def_id")
    return {session_id: bool(done) for session_id, done in rows.values_list("session_id", "done")}


def readBuffers(ids: set[int]) -> dict[tuple[int, int], str]:
    """Return the folders in which hosts buffer movies, by session and camera."""
    if not sinedon.hasTable(leginondata.BufferHostData):
        return {}
    rows = leginondata.BufferFramePathData.objects.filter(session_id__in=ids).order_by("def_id")
    columns = ("session_id", "host__ccdcamera_id", "host__disabled", "buffer_frame_path")
    return {(session, camera): expandVariables(path) for session, camera, disabled, path in rows.values_list(*columns)
            if path and not disabled}  # fmt: skip


def readNames(ids: set[int]) -> dict[int, str]:
    """Return the names of exposures."""
    rows = leginondata.AcquisitionImageData.objects.filter(def_id__in=ids)
    return {def_id: name or "" for def_id, name in rows.values_list("def_id", "filename")}
