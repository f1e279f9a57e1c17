"""STAR files as RELION reads and writes them.

RELION reads a number with a C++ stream and does not look whether there was one: `nan`, `inf` and `None` become 0. So
there is no way here to write such a thing. Texts with blanks stand in quotation marks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appion.base.failures import ConfigurationFailure

Value = str | int | float

#: The version of the format, which RELION 3.1 and later take for theirs.
VERSION = "# version 30001"

#: What a text may be like to stand without quotation marks.
BARE = re.compile(r"""[^\s"'#$_;\[\]][^\s"']*""")
RESERVED = re.compile(r"(data|loop|save|stop|global)_", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """One table: its name without `data_`, and each column's values by its label without `_`, all equally many.

    `single`: the only row is written as a list of labels and values, not as a loop. `comments` stand before it.
    """

    name: str
    columns: Mapping[str, Sequence[Value]]
    single: bool = False
    comments: tuple[str, ...] = ()


def formatStar(blocks: Iterable[Block]) -> str:
    """Return the text of a STAR file.

    Raises:
        ValueError: a number is not finite, or columns have different lengths.
        ConfigurationFailure: a text cannot stand in a STAR file.
    """
    return "".join(map(formatBlock, blocks))


def formatBlock(block: Block) -> str:
    lengths = {len(values) for values in block.columns.values()}
    if len(lengths) != 1 or (block.single and lengths != {1}):
        raise ValueError(f"columns of data_{block.name} have {sorted(lengths)} rows")
    lines = ["", *(formatComment(comment) for comment in block.comments), VERSION, "", f"data_{block.name}", ""]
    if block.single:
        width = max(map(len, block.columns)) + 2
        lines += [f"_{label:<{width}} {formatValue(values[0])}" for label, values in block.columns.items()]
    else:
        lines += ["loop_", *(f"_{label} #{number}" for number, label in enumerate(block.columns, 1))]
        rows = zip(*block.columns.values(), strict=True)
        lines += [" ".join(f"{formatValue(value):>12}" for value in row) for row in rows]
    return "\n".join([*lines, "", ""])


def formatComment(text: str) -> str:
    """Return a line that RELION passes over; it takes any line with `data_`, `loop_` or `version` in it for its own."""
    return "# " + re.sub(r"(?i)(data|loop)_|version", lambda match: match[0][:-1] + " ", " ".join(text.split()))


def formatValue(value: Value) -> str:
    """Return a value as it stands in a STAR file: six decimals, or as many as a small number needs."""
    if isinstance(value, str):
        return quoteText(value)
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number that RELION would read")
    return f"{value:.9e}" if 0 < abs(value) < 1e-3 else f"{value:.6f}"


def quoteText(text: str) -> str:
    """Return a text, in quotation marks where it needs them.

    Raises:
        ConfigurationFailure: it has control characters, or both kinds of marks.
    """
    if BARE.fullmatch(text) and text not in (".", "?") and text.isprintable() and not RESERVED.match(text):
        return text
    mark = next((mark for mark in "\"'" if mark not in text), None)
    if mark is None or not text.isprintable():
        raise ConfigurationFailure(f"{text!r} cannot stand in a STAR file", "leave it out: --where, or rename it")
    return f"{mark}{text}{mark}"
