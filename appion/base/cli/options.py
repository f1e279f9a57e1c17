"""The options every classic Appion program has, and how a classic command line is read.

The names, their meaning and their defaults are those that myamiweb and users' scripts rely on. A step adds its own
options to the parser made here, then calls :func:`parseArguments`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from appion.base.calc.plain import makePlain
from appion.base.cli.screen import replaceUnshowable
from appion.base.cli.suggest import suggestNearest
from appion.base.records.stamp import readVersion

TILT_ANGLES = ("notilt", "hightilt", "lowtilt", "minustilt", "plustilt", "all")


class HelpFormatter(argparse.HelpFormatter):
    """Adds the default to the help of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if action.nargs == 0 or action.default in (None, "", argparse.SUPPRESS):
            return text
        return f"{text} (default: %(default)s)"


class Parser(argparse.ArgumentParser):
    """An argument parser that remembers what a classic program has to know about its options.

    Attributes:
        extensions: dests of options that classic does not have (or does not pass on). They are not recorded in the
            database and never make an abbreviation of a classic option ambiguous.
        younger: dests of options that classic does not have under this name; they never make an abbreviation of one
            that it has ambiguous, but are recorded.
        valued: switches that stand for an option with a value where one is given, as an abbreviation that classic
            takes under this name: ``{"--tilt": "--tiltangle"}``.
        shaping: dests of options that decide what a result is like; all results of a run are made with the same ones.
        ineffective: dest of an option that is accepted without effect; the logging level and why it has none.
        given: dest of each option on the command line, and how it was written there.
        messages: what is to be logged about the command line, as (logging level, text).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.extensions: set[str] = set()
        self.younger: set[str] = set()
        self.valued: dict[str, str] = {}
        self.shaping: set[str] = set()
        self.ineffective: dict[str, tuple[int, str]] = {}
        self.given: dict[str, str] = {}
        self.messages: list[tuple[int, str]] = []
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {makePlain(message)} (see {self.prog} --help)\n")

    @property
    def actions(self) -> list[argparse.Action]:
        return self._actions


@dataclass(frozen=True)
class GivenOption:
    """One option of a command line: its action, how it was written, and the text of its value (None for a switch)."""

    action: argparse.Action
    written: str
    text: str | None

    @property
    def token(self) -> str:
        name = self.action.option_strings[-1]
        return name if self.text is None else f"{name}={self.text}"

    @property
    def value(self) -> Any:
        if self.text is None or not callable(self.action.type):
            return self.text
        try:
            return self.action.type(self.text)
        except (ValueError, TypeError, argparse.ArgumentTypeError):
            return self.text


def constructParser(prog: str, description: str = "") -> Parser:
    """Return a parser with the options of every classic program (run, images, order, job) and the new ones."""
    parser = Parser(prog=prog, description=description, usage=f"{prog} --session=NAME --projectid=ID [options]",
                    formatter_class=HelpFormatter)
    addRunOptions(parser)
    addImageOptions(parser)
    addLoopOptions(parser)
    addJobOptions(parser)
    addNewOptions(parser)
    return parser


def decodeText(text: str) -> str:
    """Return a text of the command line; bytes that the locale does not know are Latin-1, as old web pages write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text).decode("latin-1")
    return text


def addSwitch(group: Any, name: str, dest: str, default: bool, on: str, off: str, short: tuple[str, ...] = ()) -> None:
    """Add ``--name`` and ``--no-name``; `on` and `off` are their help texts."""
    group.add_argument(*short, f"--{name}", dest=dest, action="store_true", default=default, help=on)
    group.add_argument(f"--no-{name}", dest=dest, action="store_false", default=default, help=off)


def markIneffective(parser: Parser, dest: str, why: str, level: int = logging.WARNING) -> None:
    """Have one line logged with the reason `why` if an option of this dest is given: it is accepted without effect."""
    parser.ineffective[dest] = (level, why)


def addRunOptions(parser: Parser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument("-n", "--runname", metavar="NAME",
                       help="name of the run, equal to the last part of --rundir (default: a time stamp)")
    group.add_argument("-d", "--description", type=decodeText, metavar="TEXT",
                       help="what the run is for; recorded with it")
    group.add_argument("-p", "--projectid", type=int, metavar="ID",
                       help="project whose Appion database gets the results (default: the session's project)")
    group.add_argument("-R", "--rundir", "--outdir", dest="rundir", type=os.path.normpath, metavar="DIR",
                       help="folder of the run (default: beside the session's images, 'leginon' becoming 'appion')")
    addSwitch(group, "commit", "commit", True, "store results in the database (the default)",
              "compute and keep the files, but store no results", short=("-C",))
    addSwitch(group, "continue", "continue", True, "leave out what this run has already stored (the default)",
              "do images again that this run has already done")
    group.add_argument("--nproc", type=int, metavar="N", help="accepted, without effect")
    markIneffective(parser, "nproc", "the workers and their threads are settings (see --print-config)")


def addImageOptions(parser: Parser) -> None:
    group = parser.add_argument_group("images")
    group.add_argument("-s", "--session", dest="sessionname", metavar="NAME", help="Leginon session")
    group.add_argument("--expid", "--expId", dest="expid", type=int, metavar="ID",
                       help="id of the Leginon session, in place of its name")
    group.add_argument("--preset", metavar="NAME",
                       help="only images of this preset; 'manual': images without a preset (default: all)")
    group.add_argument("-m", "--mrclist", dest="mrcnames", metavar="NAME,NAME",
                       help="only these images, then end (not together with --preset)")
    group.add_argument("--startimgid", type=int, metavar="ID", help="first image id, inclusive")
    group.add_argument("--endimgid", type=int, metavar="ID", help="last image id, inclusive")
    group.add_argument("--tiltangle", choices=TILT_ANGLES, default="all",
                       help="by stage tilt t in degrees: notilt |t| <= 3, hightilt |t| >= 30, lowtilt |t| < 30, "
                            "minustilt t <= -2, plustilt t >= 2, all")
    group.add_argument("--no-rejects", dest="norejects", action="store_true", default=False,
                       help="leave out images that are hidden, in the trash or assessed as bad")
    group.add_argument("--best-images", dest="bestimages", action="store_true", default=False,
                       help="only images that are exemplars or assessed as good")
    group.add_argument("--sib-assess", dest="sibassess", action="store_true", default=False,
                       help="judge an image by its sibling of the same target (with --no-rejects or --best-images)")


def addLoopOptions(parser: Parser) -> None:
    group = parser.add_argument_group("order and end")
    group.add_argument("--limit", type=int, metavar="N", help="do N images, then end")
    group.add_argument("--no-wait", dest="wait", action="store_false", default=True,
                       help="end when everything there is has been done, without waiting for new images or movies")
    group.add_argument("--reverse", action="store_true", default=False, help="newest first")
    group.add_argument("--shuffle", action="store_true", default=False, help="random order")
    group.add_argument("--background", action="store_true", default=False,
                       help="show only warnings and errors on the terminal; the log has everything")
    group.add_argument("--parallel", action="store_true", default=False, help="accepted, without effect")
    markIneffective(parser, "parallel", "one process shares the run out among its workers", logging.INFO)


def addJobOptions(parser: Parser) -> None:
    group = parser.add_argument_group("job", "set by the web pages and by the job submission")
    group.add_argument("--jobtype", metavar="TYPE", help="type of a newly made job row")
    group.add_argument("--jobid", type=int, metavar="ID", help="the job row whose status is kept up to date")
    for name in ("ppn", "nodes", "walltime", "cput", "mem", "queue"):
        group.add_argument(f"--{name}", metavar="X", help="for the scheduler; accepted, without effect")
    group.add_argument("--remoterundir", metavar="DIR", help="accepted, without effect: --rundir is seen by all hosts")
    parser.extensions.update(("jobtype", "jobid", "ppn", "nodes", "walltime", "cput", "mem", "queue", "remoterundir"))


def addNewOptions(parser: Parser) -> None:
    group = parser.add_argument_group("looking before running")
    group.add_argument("--dry-run", action="store_true", default=False,
                       help="print what would be run, one JSON object a line, and write nothing anywhere")
    group.add_argument("--print-config", action="store_true", default=False,
                       help="print every setting and option with its value and where it came from, then end")
    group.add_argument("--version", action="version", version=f"{parser.prog} {readVersion()}")
    parser.extensions.update(("dry_run", "print_config", "version", "help"))


def parseArguments(parser: Parser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of a classic command line (`sys.argv[1:]` unless given).

    ``--key=value`` and ``--key value`` are the same, a unique beginning of a name stands for it. An option may be
    repeated with the same value; ``--commit`` and ``--no-commit`` override each other, the last one counts. Everything
    else that is wrong ends the program with one line and exit code 2: unknown options, left-over arguments, values of
    the wrong type, two values for one option. Without options the help is shown, with exit code 2. What the screen
    cannot show is replaced from here on.
    """
    replaceUnshowable()
    argv = list(sys.argv[1:] if argv is None else argv)
    if all(token.startswith("--jobtype=") for token in argv):
        parser.print_help(sys.stderr)
        parser.exit(2, "error: no options given\n")
    given = list(splitArguments(parser, argv))
    parser.messages.clear()
    checkRepetitions(parser, given)
    args = parser.parse_args([option.token for option in given])
    parser.given = {option.action.dest: option.written for option in given}
    for dest, (level, why) in parser.ineffective.items():
        if dest in parser.given:
            parser.messages.append((level, f"{parser.given[dest].partition('=')[0]} has no effect here: {why}"))
    return args


def splitArguments(parser: Parser, argv: Sequence[str]) -> Iterator[GivenOption]:
    """Yield each option of the command line; what follows an option that needs a value is its value, whatever it is."""
    tokens = iter(argv)
    for token in tokens:
        if token.startswith("--") and len(token) > 2:
            name, equals, text = token.partition("=")
            action = findOption(parser, parser.valued.get(name, name) if equals else name)
            if action.nargs == 0 and equals:
                parser.error(f"{name} takes no value, got '{text}'")
            if action.nargs == 0:
                yield GivenOption(action, token, None)
            else:
                yield takeValue(parser, action, name, text if equals else None, tokens)
        elif token.startswith("-") and len(token) > 1 and token != "--":
            yield from splitShortOptions(parser, token, tokens)
        else:
            parser.error(f"unknown command-line argument '{token}'")


def splitShortOptions(parser: Parser, token: str, tokens: Iterator[str]) -> Iterator[GivenOption]:
    letters = token[1:]
    meant = f"-{token.partition('=')[0]}" if len(letters) > 1 else ""  # an option of which one dash is missing
    while letters:
        name, letters = f"-{letters[0]}", letters[1:]
        action = findOption(parser, name, meant)
        if action.nargs == 0:
            yield GivenOption(action, name, None)
        else:
            yield takeValue(parser, action, name, letters or None, tokens)
            return


def takeValue(parser: Parser, action: argparse.Action, name: str, text: str | None,
              tokens: Iterator[str]) -> GivenOption:
    if text is None:
        text = next(tokens, None)
    if text is None:
        parser.error(f"{name} needs a value")
    return GivenOption(action, f"{name}={text}", text)


def findOption(parser: Parser, name: str, meant: str = "") -> argparse.Action:
    """Return the action of an option written in full or abbreviated; exit code 2 if there is none or more than one.

    An unknown one is answered with the option nearest to it, or to what else may have been `meant`.
    """
    known = {option: action for action in parser.actions for option in action.option_strings}
    if name in known:
        return known[name]
    found = [option for option in known if name.startswith("--") and option.startswith(name)]
    for set_back in (parser.extensions, parser.younger):
        if len({id(known[option]) for option in found}) > 1:
            found = [option for option in found if known[option].dest not in set_back] or found
    if not found:
        parser.error(f"unknown option {name}{suggestNearest(meant or name, known)}")
    if len({id(known[option]) for option in found}) > 1:
        parser.error(f"{name} could be any of {', '.join(sorted(found))}")
    return known[found[0]]


def checkRepetitions(parser: Parser, given: Sequence[GivenOption]) -> None:
    """Exit with code 2 if an option has two different values; note it if an option is overridden by its opposite."""
    first: dict[int, GivenOption] = {}
    last: dict[str, GivenOption] = {}
    for option in given:
        before = first.setdefault(id(option.action), option)
        if before.text != option.text and before.value != option.value:
            parser.error(f"{before.written} and {option.written} contradict each other; give one of them")
        other = last.get(option.action.dest)
        if other is not None and other.action is not option.action:
            parser.messages.append((logging.WARNING, f"{option.written} overrides {other.written}, given before it"))
        last[option.action.dest] = option
