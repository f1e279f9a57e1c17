"""The script that the scheduler is given: a template, filled in."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
import sysconfig
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.store.files import writeAtomically
from appion.runjob.command import PROGRAMS, JobRequest

#: ``{{ name }}``: unlike ``$name`` it cannot be mistaken for a variable of the shell.
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")

#: First word of a call of runJob.py by the script of a job whose program cannot be started.
NOT_STARTED = "--not-started"

#: Options of sbatch by option of the command line: how it is written, which values it takes, and what those are.
NUMBER = re.compile(r"[1-9]\d*", re.ASCII)
DIRECTIVES: dict[str, tuple[str, re.Pattern[str], str]] = {
    "nodes": ("--nodes", re.compile(r"[1-9]\d*(-[1-9]\d*)?", re.ASCII), "a number of nodes"),
    "ppn": ("--cpus-per-task", NUMBER, "a number of processors"),
    "mem": ("--mem", re.compile(r"\d+([KMGT]B?)?", re.ASCII | re.IGNORECASE), "an amount such as 16G"),
    "walltime": ("--time", re.compile(r"\d+|(\d+-)?\d+(:\d\d){1,2}|\d+-\d+", re.ASCII), "hours, or as 1-12:00:00"),
    "queue": ("--partition", re.compile(r"[\w.@+-]+(,[\w.@+-]+)*", re.ASCII), "the name of a partition"),
}


def constructScript(request: JobRequest, template: str | None, jobid: int | None, tell: bool = True) -> str:
    """Return the text of the script.

    Args:
        template: path of the site's own template; None for the one that ships.
        jobid: the job's row, if there is one.
        tell: whether the program is told of the row, because the request does not name it already.

    Raises:
        ConfigurationFailure: the template cannot be read or names something that does not exist, or an option for the
            scheduler has a value that it cannot have.
    """
    command = [*request.command, *([f"--jobid={jobid}"] if tell and jobid is not None else [])]
    values = {
        "command": shlex.join(command),
        "directives": "\n".join(constructDirectives(request.options)),
        "give_up": constructGiveUp(request, jobid),
        "job_name": re.sub(r"[^A-Za-z0-9_.-]", "_", request.runname),
        "log": shlex.quote(str(request.rundir / f"{request.runname}.appionsub.log")),
        "path": shlex.quote(findCommands()),
        "rundir": shlex.quote(str(request.rundir)),
    }
    return fillTemplate(readTemplate(template), values, template or "slurm.sh")


def constructGiveUp(request: JobRequest, jobid: int | None) -> str:
    """Return the command that says E in the job's row, for when the program cannot be started; `:` without a row."""
    row = request.jobid if request.jobid is not None else jobid
    return ":" if row is None else shlex.join(["runJob.py", NOT_STARTED, *constructPlace(request, row)])


def constructPlace(request: JobRequest, row: int) -> list[str]:
    """Return the words that tell where the row of a job is."""
    places = [name for name in ("projectid", "expid", "session") if name in request.options]
    return [f"--jobid={row}", *(f"--{name}={request.options[name]}" for name in places)]


def constructDirectives(options: Mapping[str, str]) -> list[str]:
    """Return the lines ``#SBATCH …`` for the options that were given. Bare numbers are hours and gigabytes.

    Raises:
        ConfigurationFailure: a value that such an option cannot have.
    """
    lines = []
    for name, (option, pattern, meaning) in DIRECTIVES.items():
        value = options.get(name)
        if value is None:
            continue
        if not pattern.fullmatch(value):
            raise ConfigurationFailure(f"--{name}={value!r} is not {meaning}")
        if name == "walltime" and value.isdigit():
            value += ":00:00"
        if name == "mem":
            value = value.upper().rstrip("B") + ("G" if value.isdigit() else "")
        lines.append(f"#SBATCH {option}={value}")
    return lines


def fillTemplate(text: str, values: Mapping[str, str], name: str) -> str:
    """Return the template with every ``{{ name }}`` replaced, in one pass: what is filled in is not looked at again.

    Raises:
        ConfigurationFailure: an unknown name, or no ``{{ command }}``.
    """
    used = set(PLACEHOLDER.findall(text))
    unknown = sorted(used - values.keys())
    if unknown:
        raise ConfigurationFailure(f"template {name} wants {{{{ {unknown[0]} }}}}", f"there are {', '.join(values)}")
    if "command" not in used:
        raise ConfigurationFailure(f"template {name} runs nothing", "write {{ command }} where the program is to run")
    return PLACEHOLDER.sub(lambda match: values[match[1]], text)


def readTemplate(template: str | None) -> str:
    """Return the text of the site's template, or of the one that ships.

    Raises:
        ConfigurationFailure: it cannot be read.
    """
    if template is None:
        return resources.files("appion.runjob").joinpath("slurm.sh").read_text(encoding="utf-8")
    try:
        return Path(template).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationFailure(
            f"template {template} cannot be read: {error}", "correct the setting appion.runjob.template"
        ) from error


def findCommands() -> str:
    """Return the folder of this installation's commands: where this one was called from, else that of its Python."""
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    return folder if os.path.exists(os.path.join(folder, next(iter(PROGRAMS)))) else sysconfig.get_path("scripts")


def saveScript(request: JobRequest, text: str) -> Path:
    """Write the script to ``<rundir>/<runname>.appionsub.job`` and return its path."""
    path = request.rundir / f"{request.runname}.appionsub.job"
    writeAtomically(path, os.fsencode(text))
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | (mode & 0o444) >> 2)  # who may read it may run it
    return path
