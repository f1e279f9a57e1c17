"""`appion completion`: have a shell complete the words of all commands."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import shtab

from appion.base.cli.screen import show
from appion.base.store.files import writeAtomically
from appion.cli.parsers import constructParsers, subcommands

#: The shells, and what a file of one command is called where the shell looks for it.
SHELLS = {"bash": "{}", "zsh": "_{}", "fish": "{}.fish"}

#: Metavariables of options that take a folder, and of those that take a file.
FOLDERS, FILES = re.compile(r"(RUN)?DIR|rundirs?"), re.compile(r"FILE.*")

#: bash takes ``--key=value`` for three words; without the second one they are what the function of shtab understands.
JOINED = """
_appion{function}() {{
  local -a words=()
  local number=0 place=0 word
  for word in "${{COMP_WORDS[@]}}"; do
    if [[ $number -eq $COMP_CWORD ]]; then
      place=${{#words[@]}}
      [[ $word == "=" ]] && word=""
      words+=("$word")
    elif [[ $word != "=" ]]; then
      words+=("$word")
    fi
    number=$((number + 1))
  done
  local -a COMP_WORDS=("${{words[@]}}")
  local COMP_CWORD=$place
  {function} "$@"
}}
complete -o bashdefault -F _appion{function} {name}
"""


def showCompletion(shell: str, appion: argparse.ArgumentParser, out: Path | None) -> int:
    """Print what a shell is to read, or write a file for each command into a folder; returns the exit code 0.

    Raises:
        OSError: a file cannot be written.
    """
    for name, script in constructScripts(shell, appion).items():
        if out is None:
            print(script)
        else:
            out.mkdir(parents=True, exist_ok=True)
            path = out / SHELLS[shell].format(name)
            writeAtomically(path, script + "\n")
            show(path)
    return 0


def constructScripts(shell: str, appion: argparse.ArgumentParser) -> dict[str, str]:
    """Return the script of each command by its name."""
    scripts = {}
    for name, parser in constructParsers(appion).items():
        markPaths(parser)
        script = shtab.complete(parser, shell)
        if shell == "bash":
            function = f"_shtab_{re.sub(r'[^0-9A-Za-z_]', '_', name)}"
            script += JOINED.format(function=function, name=name)
        scripts[name] = script
    return scripts


def markPaths(parser: argparse.ArgumentParser) -> None:
    """Have folders and files be completed where an option or an argument takes one."""
    for action in parser._actions:
        name = str(action.metavar or action.dest)
        if FOLDERS.fullmatch(name):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.type is Path or FILES.fullmatch(name):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    for command in subcommands(parser).values():
        markPaths(command)
