"""The language of --where: comparisons of columns of the series with numbers and texts, joined by and, or and not.

    ctf_resolution < 5 and drift < 20
    not (ice_ring > 300) and preset == "enn"
    10000 < defocus < 25000

A comparison with what an exposure lacks is neither true nor false, and neither is its `not`: such an exposure is left
out unless the rest decides.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.records.series import COLUMNS, NAME

#: Columns with texts; the others are numbers.
TEXTS = frozenset({NAME, "preset", "spectrum"})

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "=": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])|(?P<word>[A-Za-z_]\w*)|"""
    r"""(?P<text>"[^"]*"|'[^']*')|(?P<sign><=|>=|==|!=|<|>|=|\(|\)))"""
)
#: How deep brackets may be.
DEPTH = 50

Line = Mapping[str, Any]
Test = Callable[[Line], bool | None]


@dataclass(frozen=True)
class Condition:
    """What --where asks for.

    Attributes:
        text: as it was given. test: whether it is so of a line, None if that is not known. columns: that it looks at.
    """

    text: str
    test: Test
    columns: frozenset[str]

    def holds(self, line: Line) -> bool:
        """Return whether an exposure with these numbers is wanted."""
        return self.test(line) is True


def parseCondition(text: str) -> Condition:
    """Return what a text asks for.

    Raises:
        ConfigurationFailure: it is not of this language, or names a column that there is not; saying which there are.
    """
    parser = _Parser(text, splitTokens(text))
    test = parser.readOr()
    if parser.at < len(parser.tokens):
        raise parser.fail(f"does not go on with {parser.tokens[parser.at][1]!r}", "and, or")
    return Condition(text, test, frozenset(parser.columns))


def splitTokens(text: str) -> list[tuple[str, str]]:
    """Return kind and text of each word, number, text in quotation marks and sign."""
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            raise ConfigurationFailure(f"--where={text!r} cannot be read from {text[at:].strip()[:20]!r} on", EXAMPLE)
        tokens.append((str(match.lastgroup), match[match.lastgroup or 0]))
        at = match.end()
    return tokens


EXAMPLE = "write it like: ctf_resolution < 5 and drift < 20"


@dataclass
class _Operand:
    get: Callable[[Line], Any]
    is_text: bool
    is_column: bool


@dataclass
class _Parser:
    text: str
    tokens: list[tuple[str, str]]
    at: int = 0
    depth: int = 0
    columns: set[str] = field(default_factory=set)

    def fail(self, what: str, wanted: str = "") -> ConfigurationFailure:
        remedy = f"{EXAMPLE}; expected here: {wanted}" if wanted else EXAMPLE
        return ConfigurationFailure(f"--where={self.text!r} {what}", remedy)

    def peek(self) -> str:
        """The next token if it is a sign or a word, else an empty text."""
        kind, token = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        return token if kind == "sign" else token.lower() if kind == "word" else ""

    def readOr(self) -> Test:
        tests = [self.readAnd()]
        while self.peek() == "or":
            self.at += 1
            tests.append(self.readAnd())
        return tests[0] if len(tests) == 1 else lambda line: decideAny([test(line) for test in tests])

    def readAnd(self) -> Test:
        tests = [self.readNot()]
        while self.peek() == "and":
            self.at += 1
            tests.append(self.readNot())
        return tests[0] if len(tests) == 1 else lambda line: negate(decideAny([negate(test(line)) for test in tests]))

    def readNot(self) -> Test:
        self.depth += 1
        if self.depth > DEPTH:
            raise self.fail(f"goes more than {DEPTH} brackets deep")
        try:
            if self.peek() == "not":
                self.at += 1
                inner = self.readNot()
                return lambda line: negate(inner(line))
            if self.peek() == "(":
                self.at += 1
                inner = self.readOr()
                if self.peek() != ")":
                    raise self.fail("has a bracket that is not closed", ")")
                self.at += 1
                return inner
            return self.readComparison()
        finally:
            self.depth -= 1

    def readComparison(self) -> Test:
        """Read `a < b`, or a chain `a < b < c`, which means `a < b and b < c`."""
        left, tests = self.readOperand(), []
        while self.peek() in OPERATORS:
            sign = self.peek()
            self.at += 1
            right = self.readOperand()
            tests.append(self.compare(left, sign, right))
            left = right
        if not tests:
            raise self.fail("has no comparison where one belongs", ", ".join(OPERATORS))
        return lambda line: negate(decideAny([negate(test(line)) for test in tests]))

    def compare(self, left: _Operand, sign: str, right: _Operand) -> Test:
        if left.is_text != right.is_text:
            raise self.fail("compares a text with a number")
        if left.is_text and OPERATORS[sign] not in (operator.eq, operator.ne):
            raise self.fail(f"compares texts by {sign}", "== or !=")
        if not left.is_column and not right.is_column:
            raise self.fail("compares no column with anything", "a column")
        run = OPERATORS[sign]

        def test(line: Line) -> bool | None:
            one, other = left.get(line), right.get(line)
            return None if one is None or other is None else run(one, other)

        return test

    def readOperand(self) -> _Operand:
        if self.at >= len(self.tokens):
            raise self.fail("ends too early", "a column, a number or a text in quotation marks")
        kind, token = self.tokens[self.at]
        if kind == "sign" or (kind == "word" and token.lower() in ("and", "or", "not")):
            raise self.fail(f"has {token!r} where something is to be compared", "a column, a number or a text")
        self.at += 1
        if kind == "number":
            number = float(token)
            return _Operand(lambda _line: number, False, False)
        if kind == "text":
            return _Operand(lambda _line: token[1:-1], True, False)
        if token not in COLUMNS:
            near = difflib.get_close_matches(token, COLUMNS, 1)
            meant = f"{near[0]}? " if near else ""
            raise ConfigurationFailure(f"--where={self.text!r}: there is no column {token}",
                                       f"{meant}There are {', '.join(COLUMNS)}")  # fmt: skip
        self.columns.add(token)
        return _Operand(lambda line: line.get(token), token in TEXTS, True)


def negate(known: bool | None) -> bool | None:
    return None if known is None else not known


def decideAny(found: list[bool | None]) -> bool | None:
    """Return whether any is so; None if none is and something is not known."""
    return True if True in found else None if None in found else False
