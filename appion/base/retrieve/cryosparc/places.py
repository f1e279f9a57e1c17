"""Paths that CryoSPARC's files tell: data, not to be followed out of the project but to compare where they lead."""

from __future__ import annotations

import os

from appion.base.failures import ImageFailure

#: Links that one path may lead through.
MAX_LINKS = 40

#: What CryoSPARC writes where there is no path.
NO_PATHS = ("", ".")


class Places:
    """Where paths of a project lead. Folders are resolved once each, links once each unless they lead nowhere."""

    def __init__(self, project: str):
        self.project = os.path.realpath(project)
        self._folders: dict[str, str] = {}
        self._hops: dict[str, tuple[str, ...]] = {}

    def join(self, path: str) -> str:
        """Return the absolute path of a file that is told relative to the project; empty where none is told.

        Raises:
            ImageFailure: it leads out of the project.
        """
        plain = path.removeprefix(">")
        if plain in NO_PATHS:
            return ""
        whole = os.path.normpath(os.path.join(self.project, plain))
        if "\0" in plain or not whole.startswith(f"{self.project}{os.sep}"):
            raise ImageFailure(f"{path[:300]!r} leads out of the project {self.project}")
        return whole

    def follow(self, path: str) -> tuple[str, ...]:
        """Return a path and where its links lead, one after the other; nothing of it need be there."""
        known = self._hops.get(path)
        if known is not None:
            return known
        hops = [self._clean(path)]
        while len(hops) <= MAX_LINKS:
            try:
                target = os.readlink(hops[-1])
            except (OSError, ValueError):
                break
            hops.append(self._clean(os.path.join(os.path.dirname(hops[-1]), target)))
        if len(hops) > 1:
            self._hops[path] = tuple(hops)
        return tuple(hops)

    def isInside(self, path: str) -> bool:
        """Return whether a file lies in the project, wherever links to it lead."""
        return self.follow(path)[-1].startswith(f"{self.project}{os.sep}")

    def _clean(self, path: str) -> str:
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder or ".")
        return os.path.join(self._folders[folder], name)
