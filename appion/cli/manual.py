"""`appion man`: manual pages, made from the parsers of all commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from appion.base.cli.screen import show
from appion.base.records.stamp import readVersion
from appion.base.store.files import writeAtomically
from appion.cli.parsers import constructParsers, subcommands

SECTION = 1


def saveManual(appion: argparse.ArgumentParser, out: Path) -> int:
    """Write a page for each command and each sub-command into a folder; returns the exit code 0.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, page in constructPages(appion).items():
        path = out / f"{name}.{SECTION}"
        writeAtomically(path, page)
        show(path)
    return 0


def constructPages(appion: argparse.ArgumentParser) -> dict[str, str]:
    """Return the pages by name, e.g. ``appion-status`` for `appion status`."""
    pages = {}
    for name, parser in constructParsers(appion).items():
        commands = subcommands(parser)
        pages[name] = constructPage(name, name, parser, [f"{name}-{one}" for one in commands])
        for one, command in commands.items():
            about = findHelp(parser, one)
            pages[f"{name}-{one}"] = constructPage(f"{name}-{one}", f"{name} {one}", command, [name], about)
    return pages


def constructPage(page: str, name: str, parser: argparse.ArgumentParser, others: list[str], about: str = "") -> str:
    """Return a page in roff, in plain ASCII.

    Args:
        page: its name. name: what is typed. others: pages to look at as well. about: what stands behind the name; if
            empty, the beginning of the description does.
    """
    text = " ".join((parser.description or about).split())
    first = (about or text).partition(". ")[0].partition("; ")[0].rstrip(".")
    lines = [f'.TH "{escape(page.upper())}" {SECTION} "" "appion {escape(readVersion())}" "Appion"', ".SH NAME",
             f"{escape(page)} \\- {escape(first)}", ".SH SYNOPSIS", f".B {escape(name)}", escape(formatUsage(parser)),
             ".SH DESCRIPTION", protect(escape(text))]  # fmt: skip
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if actions:
            lines += [f'.SH "{escape((group.title or "").upper())}"', *describeGroup(group, parser, actions)]
    if others:
        lines += [".SH SEE ALSO", ",\n".join(f".BR {escape(one)} ({SECTION})" for one in sorted(others))]
    return "\n".join(filter(None, lines)).replace(",\n.BR", " ,\n.BR") + "\n"


def describeGroup(
    group: argparse._ArgumentGroup, parser: argparse.ArgumentParser, actions: list[argparse.Action]
) -> Iterator[str]:
    """Yield the lines of a group of options or arguments, or of the sub-commands."""
    if group.description:
        yield protect(escape(group.description))
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action._choices_actions:
                yield from (".TP", f".B {escape(one.dest)}", protect(escape(expandHelp(parser, one))))
        else:
            yield from (".TP", describeAction(parser, action), protect(escape(expandHelp(parser, action))))


def describeAction(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the line with the names of an option and its value, or with an argument."""
    values = formatValues(parser, action)
    if not action.option_strings:
        return f".I {escape(values)}"
    names = ", ".join(rf"\fB{escape(name)}\fR" for name in action.option_strings)
    return rf"{names} \fI{escape(values)}\fR" if values else names


def formatUsage(parser: argparse.ArgumentParser) -> str:
    """Return what follows the name of a command."""
    if parser.usage:
        return parser.usage.partition(" ")[2]
    words = ["[options]"] if any(action.option_strings for action in parser._actions) else []
    words += [formatValues(parser, action) for action in parser._actions if not action.option_strings]
    words += [f"{action.option_strings[-1]} {formatValues(parser, action)}" for action in parser._actions
              if action.option_strings and action.required]  # fmt: skip
    return " ".join(words)


def formatValues(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return how the value of an option or an argument is written; empty where there is none."""
    if action.nargs == 0:
        return ""
    if isinstance(action, argparse._SubParsersAction):
        return "COMMAND ..."
    name = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    if action.choices is not None and not action.metavar:
        name = "|".join(map(str, action.choices))
    return parser._get_formatter()._format_args(action, str(name))


def expandHelp(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the help of an option as ``--help`` shows it."""
    text = parser._get_formatter()._expand_help(action) if action.help else "(see above)"
    choices = ", ".join(map(str, action.choices or ()))
    return f"{text} ({choices})" if action.metavar and choices and choices not in text else text


def findHelp(parser: argparse.ArgumentParser, command: str) -> str:
    """Return the line that stands behind a sub-command in the help of its command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return next((one.help or "" for one in action._choices_actions if one.dest == command), "")
    return ""


def escape(text: str) -> str:
    """Return a text as roff shows it as it is: backslashes, dashes that are to be copied, what is not ASCII."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace('"', "\\(dq")
    text = text.replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in text)


def protect(line: str) -> str:
    """Return a line that is text even if it begins with a dot."""
    return f"\\&{line}" if line.startswith(".") else line
