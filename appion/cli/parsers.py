"""The parsers of all commands, for those who describe them: completion of shells, and manual pages."""

from __future__ import annotations

import argparse

from appion.ctfestimation.cli.main import CTFFIND_COMMAND, GCTF_COMMAND, GCTFFIND_COMMAND
from appion.demo.options import constructParser as constructDemoParser
from appion.motioncorrection.cli.main import MOTIONCOR_COMMAND
from appion.motioncorrection.cli.motioncortags import TAGS
from appion.runjob.command import PROGRAMS
from sinedon.__main__ import constructParser as constructSinedonParser

#: Options of commands that read their words themselves: names, metavar (empty: it takes no value) and help.
RUNJOB = (
    (("--rundir", "--outdir"), "DIR", "folder of the run"),
    (("--nodes",), "N", "nodes of the job"),
    (("--ppn",), "N", "processors of each node"),
    (("--walltime",), "HOURS", "time limit of the job"),
    (("--mem",), "GB", "memory of the job"),
    (("--queue",), "PARTITION", "where it is to run"),
    (("--jobid",), "ROW", "the job row that the web pages have made"),
    (("--version",), "", "show the version, alone on the line"),
    (("--help", "-h"), "", "show how it is used, alone on the line"),
)
CTFFIND = (
    (("-j", "--omp-num-threads"), "THREADS", "accepted: one thread is used, whatever is given"),
    (("--fast",), "", "accepted: it is always so"),
    (("--version",), "", "show the version, alone on the line"),
    (("--help", "-h"), "", "show how it is used, alone on the line"),
)


def constructParsers(appion: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command by its name.

    Some of them describe only: those commands read their words themselves.

    Args:
        appion: that of `appion`; its sub-command `demo` gets the options that it has.
    """
    subcommands(appion)["demo"] = constructDemoParser()
    parsers = {"appion": appion, "sinedon": constructSinedonParser(), "runJob.py": describeRunJob(),
               "motioncor-cpu": describeMotioncor(), "ctffind-cpu": describeCtffind()}  # fmt: skip
    for command in (MOTIONCOR_COMMAND, CTFFIND_COMMAND, GCTF_COMMAND, GCTFFIND_COMMAND):
        parsers |= {name: command.constructParser(name) for name in command.names}
    return parsers


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of sub-commands by their names, to be changed in place; empty if it has none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def describeRunJob() -> argparse.ArgumentParser:
    """Return a parser that describes `runJob.py`."""
    parser = argparse.ArgumentParser("runJob.py", add_help=False, description="Submit a program to Slurm and print the"
                                     " number of the job, and nothing else. Further options are the program's.")
    parser.add_argument("program", choices=sorted(PROGRAMS), metavar="PROGRAM",
                        help="what is to run, after words of a wrapper if there is one")
    return addOptions(parser, RUNJOB)


def describeCtffind() -> argparse.ArgumentParser:
    """Return a parser that describes `ctffind-cpu`."""
    text = "Estimate the CTF of a micrograph without a GPU, with the questions of CTFFIND 4.1."
    return addOptions(argparse.ArgumentParser("ctffind-cpu", add_help=False, description=text), CTFFIND)


def describeMotioncor() -> argparse.ArgumentParser:
    """Return a parser that describes `motioncor-cpu`."""
    parser = argparse.ArgumentParser("motioncor-cpu", add_help=False, description="Correct the motion of a movie"
                                     " without a GPU, with the tags of MotionCor2, in any letter case.")
    for tag in TAGS:
        text = tag.help or "accepted, without effect"
        parser.add_argument(f"-{tag.name}", nargs=len(tag.default) if len(tag.default) > 1 else None, metavar="X",
                            help=text.replace("%", "%%"))
    return addOptions(parser, (CTFFIND[2], (("--help",), "", CTFFIND[3][2])))


def addOptions(parser: argparse.ArgumentParser, options: tuple) -> argparse.ArgumentParser:
    """Add described options to a parser and return it."""
    for names, metavar, text in options:
        values = {"metavar": metavar} if metavar else {"action": "store_true"}
        parser.add_argument(*names, help=text, **values)
    return parser
