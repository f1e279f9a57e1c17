"""Text of others - names and descriptions from databases, file names, what programs and hosts say - made fit to show.

In such text an escape sequence can rewrite a terminal, a line break forge a line of a log, and a character that turns
the direction of writing or has no width hide what is said. They are shown as Python would write them.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import unicodedata
from typing import Any

#: Characters that are drawn as nothing, although they count as letters or marks.
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")

#: Bytes that were no text and are written back as they came, but for those that steer terminals.
BYTES = range(0xDCA0, 0xDD00)

_ORDINARY = re.compile(r"[ -~\u00a1-\u00ac\u00ae-\u02ff\u2460-\u27ff\u4e00-\u9fff]*")


def makePlain(text: object) -> str:
    r"""Return `text` on one line with nothing in it that steers a terminal or cannot be seen.

    >>> print(makePlain("evil\x1b[2J\nWELL \u202eexe"))
    evil\x1b[2J\nWELL \u202eexe
    """
    text = str(text)
    if _ORDINARY.fullmatch(text):
        return text
    return "".join(letter if _isPlain(letter) else _spell(letter) for letter in text)


def makePlainLines(text: object) -> list[str]:
    """Return the lines of a text that may have several, such as the end of a program's output, each made plain."""
    return [makePlain(line.expandtabs()) for line in str(text).splitlines()]


def formatJson(value: Any, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """Return JSON whose texts mean what they meant, but with everything escaped that :func:`makePlain` would spell."""
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, default=str)
    if ensure_ascii:
        return text.replace("\x7f", "\\u007f")
    return "".join(letter if letter == "\n" or _isPlain(letter) else _escape(letter) for letter in text)


class PlainFormatter(logging.Formatter):
    """One line for each message, whatever it holds; the lines of a traceback are indented, so that none looks like one.

    Whoever writes messages somewhere formats them by this.
    """

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        record.exc_text = None  # another handler may have formatted it
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = makePlain(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"  {line}" for line in makePlainLines(super().formatException(ei)))


def _isPlain(letter: str) -> bool:
    if letter in UNSEEN:
        return False
    return letter.isprintable() or unicodedata.category(letter) == "Zs" or ord(letter) in BYTES


def _spell(letter: str) -> str:
    return ascii(letter)[1:-1]


def _escape(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else json.dumps(letter)[1:-1]
