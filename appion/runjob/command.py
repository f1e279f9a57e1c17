"""What a command line of the web pages asks for: ``[wrapper] program options``, some of them for the scheduler."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from appion.base.failures import ConfigurationFailure

#: The programs of this package that work as jobs, and the type of their job rows, by which the web pages count them.
#: They take the options of the job row, other programs do not.
PROGRAMS = {
    **dict.fromkeys(
        ("makeDDAlignMotionCor2_UCSF.py", "makeDDAlignMotionCor3.py", "motioncor2.py", "motioncor3.py"),
        "makeddrawframestack",
    ),
    **dict.fromkeys(("ctffind4.py", "ctffind5.py", "gctffind.py"), "ctfestimate"),
    "gctf.py": "gctf",
}

#: Options for the scheduler alone.
SCHEDULER = ("ppn", "nodes", "walltime", "cput", "mem", "queue")

#: Options of the job row.
JOB = ("jobid", "jobtype")

#: Options with a value that are looked at, by the name they are known under here.
KNOWN = {name: name for name in (*SCHEDULER, *JOB, "rundir", "runname", "projectid", "expid", "session")}
KNOWN |= {"outdir": "rundir", "expId": "expid"}

WHOLE_NUMBERS = ("jobid", "projectid", "expid")


@dataclass(frozen=True)
class JobRequest:
    """What is to be run.

    Attributes:
        command: words of the command that the job runs, without options for the scheduler.
        program: the word of it that names the program, without folder.
        rundir: the run folder, absolute.
        runname: name of the run.
        commit: whether results go to the database.
        options: values of the options in KNOWN that were given.
    """

    command: tuple[str, ...]
    program: str
    rundir: Path
    runname: str
    commit: bool
    options: dict[str, str]

    @property
    def jobid(self) -> int | None:
        return int(self.options["jobid"]) if "jobid" in self.options else None


def readRequest(argv: Sequence[str], wrappers: Sequence[str] = ()) -> JobRequest:
    """Return what the words after ``runJob.py`` ask for.

    Words before the program are kept as they are (they prepare its environment), except those in `wrappers`. Every
    option may be written ``--name=value`` or ``--name value``. A run folder with ``~`` or variables is expanded.

    Raises:
        ConfigurationFailure: no program or run folder, a value is missing or wrong, or two values for one option.
    """
    position = findProgram(argv)
    program = os.path.basename(argv[position])
    before = [word for word in argv[:position] if word not in wrappers]
    ours = program in PROGRAMS
    dropped = SCHEDULER if ours else (*SCHEDULER, *JOB)
    options: dict[str, str] = {}
    after: list[str] = []
    for name, value, words in splitOptions(argv[position + 1 :]):
        if name == "rundir":
            value = os.path.abspath(os.path.expanduser(os.path.expandvars(value)))
            words = [f"--rundir={value}"]
        if options.setdefault(name, value) != value:
            raise ConfigurationFailure(f"--{name}={options[name]} and --{name}={value} contradict each other",
                                       "give one of them")  # fmt: skip
        if name not in dropped:
            after += words
    options.pop("", None)
    checkOptions(options)
    runname = options.get("runname", os.path.basename(options["rundir"]))
    commit = [word for word in after if word in ("--commit", "--no-commit")][-1:] != ["--no-commit"]
    return JobRequest((*before, argv[position], *after), program, Path(options["rundir"]), runname, commit, options)


def findProgram(argv: Sequence[str]) -> int:
    """Return the position of the program: the first word that names one of PROGRAMS, else of the words before any
    option the first that ends in ``.py``, else the last of them.

    Raises:
        ConfigurationFailure: there is no such word.
    """
    for position, word in enumerate(argv):
        if os.path.basename(word) in PROGRAMS:
            return position
    leading = next((position for position, word in enumerate(argv) if word.startswith("-")), len(argv))
    scripts = [position for position in range(leading) if argv[position].endswith(".py")]
    if not leading:
        raise ConfigurationFailure("no program to run", "type: runJob.py PROGRAM --rundir=DIR [options]")
    return scripts[0] if scripts else leading - 1


def splitOptions(words: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, value and words of each option in KNOWN; all other words one by one, with an empty name and value.

    Raises:
        ConfigurationFailure: an option has no value.
    """
    remaining = iter(words)
    for word in remaining:
        written, equals, value = word.removeprefix("--").partition("=")
        name = KNOWN.get(written) if word.startswith("--") else None
        if name is None:
            yield "", "", [word]
        elif equals:
            yield name, value, [word]
        else:
            following = next(remaining, None)
            if following is None or following.startswith("--"):
                raise ConfigurationFailure(f"--{written} needs a value")
            yield name, following, [word, following]


def checkOptions(options: dict[str, str]) -> None:
    """Check what the names of files, the job row and the script are made of.

    Raises:
        ConfigurationFailure: naming the option, its value and the remedy.
    """
    if not options.get("rundir"):
        raise ConfigurationFailure("no run folder", "give --rundir=DIR")
    for name in ("rundir", "runname"):
        if not options.get(name, " ").isprintable():
            raise ConfigurationFailure(f"--{name}={options[name]!r} has characters that cannot be printed")
    runname = options.get("runname", "run")
    if "/" in runname or runname in ("", ".", ".."):
        raise ConfigurationFailure(f"--runname={runname} is no name of a file", "use --rundir for the folder")
    for name in WHOLE_NUMBERS:
        value = options.get(name, "1")
        if not (value.isascii() and value.isdigit()):
            raise ConfigurationFailure(f"--{name}={value} is not a whole number")
