"""Which exposure of a folder is which of Leginon's: exact rules, each match the only one, or none."""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from appion.base.calc.cryosparc import calcSignature
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, NotReady
from appion.base.records.cryosparc import CryosparcExposure, Identity
from appion.base.retrieve.cryosparc.exposures import Folder, readExposures
from appion.base.retrieve.cryosparc.places import Places

#: The rules, in the order in which they are asked.
PATH, SIGNATURE, NAME = "path", "signature", "name"

#: Seconds between two looks whether the folder has changed.
LOOK = 5.0

#: Seconds for which a file must have been as it is for what was read of it to count as all.
SETTLED = 2.0


@dataclass(frozen=True)
class Match:
    """An exposure that is the one that was looked for, and the rule that says so."""

    exposure: CryosparcExposure
    rule: str


def checkName(exposure: CryosparcExposure, rule: str, name: str) -> None:
    """Raise ImageFailure if an exposure has the signature of a file, and the name of another."""
    names = {one for one in (exposure.movie.name, exposure.micrograph.name) if one}
    if rule == SIGNATURE and names and name not in names:
        raise ImageFailure(f"CryoSPARC's exposure {exposure.uid} has the signature of {name} and is called"
                           f" {' or '.join(sorted(names))[:300]}: it is not taken", "import it again")  # fmt: skip


@dataclass
class Table:
    """Exposures by what they are recognised by."""

    paths: dict[str, list[CryosparcExposure]] = field(default_factory=lambda: defaultdict(list))
    signatures: dict[int, list[CryosparcExposure]] = field(default_factory=lambda: defaultdict(list))
    names: dict[str, list[CryosparcExposure]] = field(default_factory=lambda: defaultdict(list))

    def add(self, identity: Identity, exposure: CryosparcExposure) -> None:
        """Add an exposure under all that it is recognised by."""
        for path in identity.paths:
            self.paths[path].append(exposure)
        if identity.signature is not None:
            self.signatures[identity.signature].append(exposure)
        if identity.name:
            self.names[identity.name].append(exposure)

    def find(self, paths: Sequence[str], ends: Sequence[str], name: str) -> Match | None:
        """Return the exposure of a file, None if there is none.

        Args:
            paths: of the file. ends: where links of these lead. name: without its endings.

        Raises:
            ImageFailure: a rule finds several.
        """
        rules = (
            (PATH, [one for path in dict.fromkeys((*paths, *ends)) for one in self.paths.get(path, ())]),
            (SIGNATURE, [one for path in paths for one in self.signatures.get(calcSignature(path), ())]),
            (NAME, self.names.get(name, [])),
        )
        for rule, found in rules:
            different = list({id(one): one for one in found}.values())
            if len(different) > 1:
                uids = ", ".join(str(one.uid) for one in different[:5])
                raise ImageFailure(f"{len(different)} exposures of CryoSPARC fit {name} by their {rule} (uid {uids}): "
                                   "none of them is taken", "remove the doubles in CryoSPARC")  # fmt: skip
            if different:
                checkName(different[0], rule, name)
                return Match(different[0], rule)
        return None


class Index:
    """A job's or session's folder, read again when it has changed, and the names of the session's images."""

    def __init__(self, folder: str):
        self.folder = os.path.abspath(folder)
        self.places = Places(os.path.dirname(os.path.realpath(folder)))
        self.movies, self.micrographs = Table(), Table()
        self.content = Folder((), "", ())
        self.trouble: Failure | None = None
        self.reads = 0
        self._stamp: object = None
        self._next = 0.0
        self._images: dict[str, set[int]] = defaultdict(set)

    def refresh(self, force: bool = False) -> None:
        """Look whether the folder has changed, once in some seconds, and read it if so.

        What was read before stays while the new content is not whole; `trouble` is why.

        Raises:
            InfrastructureFailure: the disk does not answer.
        """
        now = time.monotonic()
        if now < self._next and not force:
            return
        self._next = now + LOOK
        stamp = self._look()
        if stamp == self._stamp and stamp is not None:
            return
        try:
            self.reads += 1
            began = time.time()
            self.content, self.trouble = readExposures(self.folder, self.places), None
            self._stamp = self._look(began - SETTLED)
        except (NotReady, ImageFailure, ConfigurationFailure) as failure:  # the last: its file is written anew
            self.trouble, self._stamp = failure, None
            return
        self.movies, self.micrographs = Table(), Table()
        for exposure in self.content.exposures:
            self.movies.add(exposure.movie, exposure)
            self.micrographs.add(exposure.micrograph, exposure)

    def _look(self, settled: float = math.inf) -> object:
        """Return what tells whether files have changed, None where one is away.

        Args:
            settled: time (seconds since the epoch) before which all must have been written: what is written while it
                is read, or within the same tick of its clock, may look the same afterwards.
        """
        try:
            found = [os.stat(path) for path in self.content.files]
        except OSError:
            return None
        if any(one.st_mtime > settled for one in found):
            return None
        return [(one.st_ino, one.st_size, one.st_mtime_ns) for one in found] or None

    def noteImages(self, images: Iterable[tuple[int, str]]) -> None:
        """Note images of Leginon's session (id, name): a name that two of them have says nothing."""
        for image_id, name in images:
            self._images[name].add(image_id)

    @property
    def images(self) -> dict[str, set[int]]:
        """The ids of the images noted, by their names."""
        return self._images

    def findMovie(self, movies: Sequence[str], name: str) -> Match:
        """Return the exposure whose movie is this one.

        Args:
            movies: paths that it may have. name: of Leginon's image.

        Raises:
            NotReady: there is none yet. ImageFailure: there are several, or it is not to be taken.
        """
        return self._check(self._find(self.movies, movies, name), name, "movie")

    def findMicrograph(self, path: str, name: str) -> Match | None:
        """Return the exposure that was imported from a micrograph of Leginon's, None if there is none.

        Raises:
            ImageFailure: there are several, or it is not to be taken.
        """
        found = self._find(self.micrographs, (path,), name)
        return None if found is None else self._check(found, name, "micrograph")

    def _find(self, table: Table, paths: Sequence[str], name: str) -> Match | None:
        ends = [end for path in paths for end in self.places.follow(path)]
        found = table.find(paths, ends, name)
        if found is not None and found.rule == NAME and len(self._images.get(name, ())) > 1:
            raise ImageFailure(f"{name} is the name of several images, so it does not say which exposure of CryoSPARC's"
                               " is which", "import the movies by the paths that Leginon has")  # fmt: skip
        return found

    def _check(self, found: Match | None, name: str, what: str) -> Match:
        if found is None:
            reason = f"CryoSPARC's folder {self.folder} has no exposure whose {what} is that of {name}"
            raise NotReady(self.trouble.reason if self.trouble else reason,
                           self.trouble.remedy if self.trouble else "is it not imported there, or under another name?")
        if found.exposure.refused:
            raise ImageFailure(f"CryoSPARC's exposure {found.exposure.uid} of {name}: {found.exposure.refused}",
                               "look at it in CryoSPARC")  # fmt: skip
        return found


def findUnclaimed(index: Index, names: Iterable[str]) -> list[tuple[CryosparcExposure, str]]:
    """Return the exposures of a folder that no image of these names is, with the reason."""
    known = set(names)
    lines = []
    for one in index.content.exposures:
        told = [name for name in (one.movie.name, one.micrograph.name) if name]
        if one.refused:
            lines.append((one, one.refused))
        elif not told:
            lines.append((one, "nothing tells what it was imported from"))
        elif not known.intersection(told):
            lines.append((one, f"no image of the selection is called {' or '.join(told)[:300]}"))
        else:
            doubles = [other.uid for other in index.movies.names.get(one.movie.name, ()) if other is not one]
            if doubles:
                lines.append((one, f"exposure {doubles[0]} has the same name: neither is taken"))
    return lines
