"""The nearest thing that exists, for a word that does not."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from appion.base.calc.plain import makePlain


def suggestNearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?`` with the one of the `known` words that is most like it; nothing if none is."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors name the nearest option, and the nearest sub-command where it has some."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.subcommands: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def add_subparsers(self, **kwargs: Any) -> Any:
        action = super().add_subparsers(**kwargs)
        self.subcommands = action.choices
        return action

    def parse_known_args(self, args: Sequence[str] | None = None,  # type: ignore[override]
                         namespace: argparse.Namespace | None = None) -> tuple[argparse.Namespace, list[str]]:
        """Parse `args`; what is not known is an error here, where the options of a sub-command are known."""
        if self.subcommands:
            self.checkCommand(sys.argv[1:] if args is None else args)
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.refuse(rest[0])
        return found, rest

    def checkCommand(self, words: Sequence[str]) -> None:
        """End with an error if the first word is no sub-command, or follows an option that does not exist."""
        for word in words:
            if not word.startswith("-"):
                if word not in self.subcommands:
                    self.error(f"unknown command '{word}'{suggestNearest(word, self.subcommands)}")
                return
            if not any(option.startswith(word) for option in self._option_string_actions):
                self.refuse(word)

    def error(self, message: str) -> NoReturn:
        super().error(makePlain(message))

    def refuse(self, word: str) -> NoReturn:
        """End with an error that names a word which has no place, and the option nearest to it."""
        name = word.partition("=")[0]
        if name.startswith("-"):
            self.error(f"unknown option {name}{suggestNearest(name, self._option_string_actions)}")
        self.error(f"unknown argument '{word}'")
