"""An external program as it was found, and when its results may stand beside those of another in one run."""

from __future__ import annotations

from dataclasses import dataclass

#: The programs that ship with this package and need no GPU.
OWN_KINDS = frozenset({"motioncor-cpu", "ctffind-cpu"})


@dataclass(frozen=True)
class Program:
    """An external program as it was found.

    Attributes:
        kind: motioncor2, motioncor3 or motioncor-cpu; ctffind (4 and 5), ctffind-cpu, gctf or gctffind.
        path: absolute.
        version: as it tells itself, else by the name of its file; empty where neither does.
    """

    kind: str
    path: str
    version: str = ""

    @property
    def label(self) -> str:
        """Kind and version, for example ``motioncor2 1.6.4``."""
        return f"{self.kind} {self.version or 'of unknown version'}"

    def __str__(self) -> str:
        return f"{self.label} ({self.path})"


def isSameVersion(before: Program, now: Program) -> bool:
    """Whether two programs are of one kind and version; of unknown versions only the same file is the same."""
    known = bool(before.version) or before.path == now.path
    return before.kind == now.kind and before.version == now.version and known
