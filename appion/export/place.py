"""Where files of an export lie, and how they come there: links, copies, copies that are turned."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

from appion.base.failures import ConfigurationFailure
from appion.base.records.stamp import addLabels
from appion.motioncorrection.calc.internal.geometry import orientToFrames


@dataclass(frozen=True)
class Place:
    """The folder of an export.

    Attributes:
        folder: where it is made. root: the folder of the RELION project, to which paths in STAR files are relative.
        copy: whether micrographs are copied; movies never are.
    """

    folder: Path
    root: Path
    copy: bool = False

    def find(self, *parts: str) -> Path:
        """Return the path of a file of the export, whose folder is made."""
        path = self.folder.joinpath(*map(constructSafeName, parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def refer(self, *parts: str) -> str:
        """Return the path of a file of the export as it stands in STAR files."""
        return os.path.relpath(self.folder.joinpath(*map(constructSafeName, parts)), self.root)

    def link(self, source: str, *parts: str) -> str:
        """Make a relative link to a file, unless it is there; return its path as it stands in STAR files."""
        target = self.find(*parts)
        words = os.path.relpath(os.path.abspath(source), os.path.realpath(target.parent))
        if not (target.is_symlink() and os.readlink(target) == words):
            replaceBy(target, lambda temporary: os.symlink(words, temporary))
        return self.refer(*parts)

    def place(self, source: str, *parts: str) -> str:
        """Make a link to a micrograph, or a copy with the same time, unless it is there; return its path."""
        if not self.copy:
            return self.link(source, *parts)
        target, state = self.find(*parts), os.stat(source)
        if not isCopy(target, state):
            replaceBy(target, lambda temporary: shutil.copy2(source, temporary))
        return self.refer(*parts)

    def turn(self, source: str, turn: tuple[bool, int], *parts: str) -> str:
        """Make a copy of an image turned as :func:`orientToFrames` says, unless it is there; return its path."""
        target, state = self.find(*parts), os.stat(source)
        if target.is_symlink() or not target.exists() or target.stat().st_mtime_ns != state.st_mtime_ns:
            replaceBy(target, lambda temporary: saveTurned(source, turn, temporary, state))
        return self.refer(*parts)


def constructSafeName(name: str) -> str:
    """Return a name for a file of the export: RELION hands names to a shell, in which some would be commands.

    A name with anything else than letters, digits and ``._+-`` gets ``_`` in its stead, and a number that keeps it
    apart from others.
    """
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", name)
    if plain == name and not name.startswith("-"):
        return name
    stem, dot, suffix = plain.lstrip("-").rpartition(".")
    return f"{stem or suffix}-{zlib.crc32(name.encode()):08x}{dot and stem and dot + suffix}"


def isCopy(path: Path, state: os.stat_result) -> bool:
    """Return whether a file has the size and time of another."""
    if path.is_symlink() or not path.exists():
        return False
    found = path.stat()
    return (found.st_size, found.st_mtime_ns) == (state.st_size, state.st_mtime_ns)


def replaceBy(target: Path, make: Callable[[Path], object]) -> None:
    """Make a file or link under a temporary name, and rename it."""
    temporary = target.with_name(f".{target.name[:150]}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    try:
        make(temporary)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def saveTurned(source: str, turn: tuple[bool, int], target: Path, state: os.stat_result) -> None:
    """Write an image turned, with its pixel size and labels, and the time of its source."""
    with mrcfile.open(source, permissive=True) as old, mrcfile.new(target) as new:
        new.set_data(np.ascontiguousarray(orientToFrames(old.data, *turn)))
        new.voxel_size = old.voxel_size
        for label in old.get_labels()[:9]:
            new.add_label(label)
        addLabels(new)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))


def openPlace(folder: Path, root: Path | None, copy: bool) -> Place:
    """Return the place of an export, whose folder is made.

    Raises:
        ConfigurationFailure: the folder cannot be made, or does not lie in the project.
    """
    folder, root = folder.absolute(), (root or folder).absolute()
    if not folder.resolve().is_relative_to(root.resolve()):
        raise ConfigurationFailure(f"--out={folder} does not lie in --project={root}", "give the folder of the project")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigurationFailure(f"--out={folder} is not a folder", "give another one") from error
    return Place(folder, root, copy)
