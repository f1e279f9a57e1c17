"""What was found, in words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sinedon
from appion.base.calc.plain import makePlain
from appion.base.cli.patience import callWithin
from appion.base.failures import Failure

#: Levels, from good to bad. A note is worth knowing but needs nobody.
WELL, NOTE, TODO = "well", "note", "TO DO"

#: Seconds for one of the checks: servers, programs and disks may hang.
PATIENCE = 60.0


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and for TODO what to do about it."""

    level: str
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        text = " ".join(self.text.split())  # an error of a server may have several lines
        line = makePlain(f"{self.level:<6} {self.subject:<11} {text}")
        return f"{line}\n{'':6} {'':11} -> {makePlain(self.remedy)}" if self.remedy else line


def runCheck(subject: str, check: Callable[[], Iterable[Finding]], patience: float = PATIENCE) -> list[Finding]:
    """Return what a check finds; warnings that are logged meanwhile become notes, an exception something to do."""
    findings: list[Finding] = []

    def collect() -> bool:  # one by one: what was found before an exception counts
        for finding in check():
            findings.append(finding)
        return True

    with _collectWarnings() as warnings:
        try:
            callWithin(patience, "it", collect)
        except Failure as failure:
            findings.append(Finding(TODO, subject, failure.reason, failure.remedy))
        except sinedon.errors.SinedonError as error:
            findings.append(Finding(TODO, subject, str(error)))
        except Exception as error:
            refusal = sinedon.findRefusal(error)
            if refusal is not None:
                findings.append(Finding(TODO, subject, refusal.reason, refusal.remedy))
            else:
                findings.append(Finding(TODO, subject, f"cannot be looked at: {type(error).__name__}: {error}"))
    return findings + [Finding(NOTE, subject, warning) for warning in warnings]


@contextmanager
def _collectWarnings() -> Iterator[list[str]]:
    """Yield a list that gets the warnings of this package instead of the terminal."""
    warnings: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(record.getMessage())

    handler = Handler(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("appion", "sinedon")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield warnings
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
