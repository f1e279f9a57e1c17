"""The command `appion`: look after runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from appion.base.cli.screen import bearWithReader, replaceUnshowable, show
from appion.base.cli.suggest import CommandParser
from appion.base.failures import Failure
from appion.base.records.process import closeToEverybody
from appion.base.records.stamp import readVersion
from appion.cli.sessionoptions import addExportOptions, addReportOptions


def constructParser() -> argparse.ArgumentParser:
    """The command's options; each sub-command names the function that does it."""
    parser = CommandParser(prog="appion", description="Look after processing runs.")
    parser.add_argument("--version", action="version", version=f"appion {readVersion()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("rundir", type=Path, help="the run folder")
        return command

    text = ("How a run is doing; exit code 0: well, 1: trouble, 2: not running. Without a run folder: how all runs are"
            " that this host, its databases or the keeper know, worst first; 0: well, 1: trouble, 2: none is known.")
    addStatusOptions(commands.add_parser("status", help="How a run is doing, or all runs.", description=text))
    failures = add("failures", "What failed and why, grouped by reason.")
    failures.add_argument("--json", action="store_true", help="for programs instead of people")
    retry = add("retry", "Forget failures, so that the exposures are tried again; works while the daemon runs.")
    retry.add_argument("images", nargs="*", help="image ids or names; without any, all that failed")
    explain = add("explain", "Everything that is known of one exposure.")
    explain.add_argument("image", help="image id or name")
    text = ("Judge the alarms of runs and tell those that are new, as a daemon does of its own run; exit code 0: none,"
            " 1: there is one, or somebody could not be told, 2: a run cannot be judged.")
    alarm = commands.add_parser("alarm", help="Judge the alarms of runs, or try who would be told.", description=text)
    alarm.add_argument("--test", action="store_true", help="tell all receivers, marked as a trial, what each rule finds"
                       " now, or the one that is named before the run folder")  # fmt: skip
    alarm.add_argument("words", nargs="+", metavar="RUNDIR", help="run folders; with --test: [RULE] RUNDIR")
    text = "What is well and what is to be done before a run; exit code 0: all is well, 1: something is to be done."
    addDoctorOptions(commands.add_parser("doctor", help=text, description=text))
    text = "Results of a session to take along: STAR files for RELION and CryoSPARC, tables."
    addExportOptions(commands.add_parser("export", help=text, description=text))
    text = "A session as one HTML file to send to its user: numbers, plots, pictures, what failed and why."
    addReportOptions(commands.add_parser("report", help=text, description=text))
    text = "Pages that show how every run is doing while it goes on; the settings are those of the section `web`."
    addWebOptions(commands.add_parser("web", help=text, description=text))
    text = "Start the daemons of every session by itself, as the profiles in the settings say."
    addKeepOptions(commands.add_parser("keep", help=text, description=text))
    text = "Take motion and CTFs that CryoSPARC has found, by the loop and the promises of the other programs."
    commands.add_parser("ingest", help=text, add_help=False)
    text = "What a shell reads to complete the words of all commands."
    addCompletionOptions(commands.add_parser("completion", help=text, description=text))
    text = "Write manual pages of all commands."
    addManualOptions(commands.add_parser("man", help=text, description=text))
    text = "A simulated microscope: to try it with, or to rehearse on a site's own ground."
    commands.add_parser("demo", help=text, add_help=False)
    return parser


def addStatusOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion status`."""
    parser.add_argument("rundir", nargs="?", type=Path, help="the run folder (default: all runs)")
    parser.add_argument("--json", action="store_true", help="for programs instead of people")
    parser.add_argument("--watch", action="store_true", help="again every few seconds, until it is interrupted")


def addDoctorOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion doctor`."""
    parser.add_argument("--config", type=Path, metavar="DIR",
                        help="folder whose sinedon.cfg, appion.yaml and jobqueue.yaml are used")  # fmt: skip
    parser.add_argument("--rundir", type=Path, metavar="DIR", help="look at this run folder, too")
    parser.add_argument("--projectid", type=int, metavar="N", help="whose Appion database (default: the newest)")
    parser.add_argument("--size", action="store_true", help="how many workers are needed, and nothing else")
    parser.add_argument("--rate", type=float, metavar="N", help="--size: exposures per hour (default: of --rundir)")
    parser.add_argument("--seconds", type=float, metavar="S",
                        help="--size: that one worker takes for one exposure (default: of --rundir)")  # fmt: skip


def addWebOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion web`."""
    parser.add_argument("--port", type=int, metavar="N", help="where it listens; 0: any free port (default: 8000)")
    parser.add_argument("--address", metavar="ADDRESS", help="at which address of this machine (default: 127.0.0.1)")


def addKeepOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion keep`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--dry-run", action="store_true", help="say for the sessions of the last week what would be"
                       " started, and why not; start and write nothing")  # fmt: skip
    group.add_argument("--once", action="store_true", help="one turn, then end; what was started goes on")
    group.add_argument("--prefer", metavar="SESSION", help="this session comes before all others from now on")
    group.add_argument("--no-prefer", metavar="SESSION", help="it is like all others again")
    group.add_argument("--again", metavar="SESSION", help="start its runs that were refused, have ended or died again")


def addCompletionOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a file for each command into this folder")


def addManualOptions(parser: argparse.ArgumentParser) -> None:
    """The options of `appion man`."""
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder that pages are written into,"
                        " e.g. /usr/local/share/man/man1")  # fmt: skip


@bearWithReader
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    replaceUnshowable()
    closeToEverybody()
    if argv[:1] == ["demo"]:
        from appion.demo.main import main as demo  # only here: it needs much that the others do not

        return demo(argv[1:]) or 0
    if argv[:1] == ["ingest"]:
        from appion.cli.ingest import main as ingest  # its options are those of a step

        return ingest(argv[1:])
    args = constructParser().parse_args(argv)
    try:
        return dispatch(args)
    except Failure as failure:
        show(f"appion {args.command}: {failure}", file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.errno is None:
            raise
        remedy = "look at its mount and its rights"
        show(f"appion {args.command}: {error.filename or 'a file'}: {error.strerror or error} ({remedy})",
             file=sys.stderr)  # fmt: skip
        return 2


def dispatch(args: argparse.Namespace) -> int:
    """Call what the sub-command asks for, importing no more than that."""
    if args.command == "status":
        return dispatchStatus(args)
    if args.command == "failures":
        from appion.cli.failures import showFailures

        return showFailures(args.rundir, args.json)
    if args.command == "retry":
        from appion.cli.failures import retryImages

        return retryImages(args.rundir, args.images)
    if args.command == "export":
        from appion.cli.export import showExport

        return showExport(args)
    if args.command == "report":
        from appion.cli.report import showReport

        return showReport(args)
    if args.command == "alarm":
        from appion.cli.alarm import watchRuns

        return watchRuns(args.words, args.test)
    if args.command == "doctor":
        from appion.cli.doctor import showDoctor

        return showDoctor(args)
    if args.command == "keep":
        from appion.cli.keep import showKeep

        return showKeep(args)
    if args.command == "completion":
        from appion.cli.completion import showCompletion

        return showCompletion(args.shell, constructParser(), args.out)
    if args.command == "man":
        from appion.cli.manual import saveManual

        return saveManual(constructParser(), args.out)
    if args.command == "web":
        from appion.web.serve import serve

        return serve(args.address, args.port)
    from appion.cli.explain import explainImage

    return explainImage(args.rundir, args.image)


def dispatchStatus(args: argparse.Namespace) -> int:
    """Show one run or all, once or again and again."""
    if args.rundir is None:
        from appion.cli.overview import showOverview

        look = partial(showOverview, args.json, compact=args.watch)
    else:
        from appion.cli.status import showStatus

        look = partial(showStatus, args.rundir, args.json)
    if not args.watch:
        return look()
    from appion.cli.watch import watch

    return watch(look, heading=not args.json)
