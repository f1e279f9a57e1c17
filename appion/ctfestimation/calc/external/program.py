"""Which versions of the programs that estimate the CTF are known."""

from __future__ import annotations

import logging

from appion.base.records.program import Program

log = logging.getLogger(__name__)

#: Starts of the versions whose questions and files are known, for programs that are not part of this installation.
KNOWN: dict[str, tuple[str, ...]] = {
    "ctffind": ("4.0", "4.1", "5.0"), "gctffind": ("1.0", "1.1.0", "1.1.1", "1.1.2"),
}  # fmt: skip


def checkProgram(program: Program) -> None:
    """Warn of a version whose questions and files nobody knows for certain."""
    known = KNOWN.get(program.kind)
    if known is not None and not program.version.startswith(known):
        log.warning(
            "questions and files of %s, version %s (%s), are not known for certain (known: %s): check first results",
            program.kind, program.version or "unknown", program.path, ", ".join(known),
        )  # fmt: skip
