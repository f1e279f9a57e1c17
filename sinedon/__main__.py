"""``sinedon check`` and ``sinedon init``; ``python -m sinedon`` is the same."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from django.db.utils import Error as DjangoDatabaseError

from sinedon.check import checkDatabases
from sinedon.create import createDatabases
from sinedon.errors import SinedonError
from sinedon.refusal import findRefusal


def constructParser() -> argparse.ArgumentParser:
    """Return the parser of the two commands."""
    parser = argparse.ArgumentParser(prog="sinedon", description="Looks after the databases of sinedon.cfg")
    parser.add_argument("--version", action="version", version=f"sinedon {readVersion()}")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say what the databases lack (exit: 0 nothing, 1 this, 2 unknown)")
    check.add_argument("--project", type=int, metavar="N", help="only the Appion database of this project")
    init = commands.add_parser(
        "init",
        help="create what is missing",
        description="SQLite: the three databases with a project. MySQL: missing tables and columns of an Appion "
        "database (and which one it is, where --project and --appiondb are both given and nothing is on record); "
        "nothing that exists is altered or dropped, the Leginon database is left alone.",
    )
    init.add_argument("--project", type=int, metavar="N", help="the project (SQLite: 1)")
    init.add_argument("--appiondb", metavar="NAME", help="its Appion database (default: as recorded; SQLite: ap<N>)")
    return parser


def readVersion() -> str:
    """Return the version of the package that this one comes with."""
    try:
        return version("appion")
    except PackageNotFoundError:
        return "unknown"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0 for well, 1 for something missing, 2 for a database or setting that cannot be used."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name of a table must not end the command where only ASCII is shown
    args = constructParser().parse_args(argv)
    try:
        if args.command == "check":
            lines, complete = checkDatabases(args.project)
        else:
            lines, complete = createDatabases(args.project, args.appiondb), True
    except (SinedonError, DjangoDatabaseError) as error:
        print(makePlain(f"sinedon {args.command}: {findRefusal(error) or error}"), file=sys.stderr)
        return 2
    print("\n".join(map(makePlain, lines or ["nothing was missing"])))
    return 0 if complete else 1


def makePlain(line: str) -> str:
    """Return a line with what steers a terminal or cannot be seen as Python would write it: names are a server's."""
    unseen = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # letters and marks that are drawn as nothing
    return "".join(one if one.isprintable() and one not in unseen else ascii(one)[1:-1] for one in line)


if __name__ == "__main__":
    sys.exit(main())
