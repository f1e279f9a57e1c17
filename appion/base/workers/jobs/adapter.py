"""What an adapter says of its job scheduler: the commands for jobs, and how to read what they print.

The steward, the cluster and the checks are the same for all; they know a scheduler by these words alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import pwd
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import getuid
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.workers.jobs.answer import JobsError, findNumber, quote


@dataclass(frozen=True)
class Listed:
    """One job as its scheduler shows it; `node` is empty before it runs.

    `state` is one of Slurm's words, whatever the scheduler calls it: PENDING, CONFIGURING, RUNNING, COMPLETING (about
    to end), SUSPENDED, one of :data:`appion.base.workers.jobs.reconcile.ENDED`; any other counts as alive.
    """

    state: str
    node: str
    reason: str


class Adapter(ABC):
    """A job scheduler. What is below fits most; an adapter says what is otherwise.

    Attributes:
        name: its name in `appion.cluster` and below `jobqueue`, which is dask-jobqueue's; `title`: for people.
        programs: what submits, lists and cancels jobs.
        said: how the number of a job is told when it was submitted; `bare`: whether a line that is nothing but the
            number is one, too. `number`: what a job's number looks like.
        stuck: reasons, in lower case without blanks, for which a job waits until a person does something.
        release, show, look: what a person types to release jobs, whose numbers have `joint` in between, to see why one
            waits, and to see all of a run.
        exports: shell lines that tell a worker its job (APPION_JOB), node and processors in our words; empty: it knows.
        end: the variable that tells a job its end in Unix time; empty: the script counts from its first line.
        excludes: whether jobs can be kept away from a node. `memory`: whether `memory` says how much a job asks for.
        pairs: whether `job-extra-directives` are settings by name, no list; `example`: one of that list.
        walltime: the seconds that the last number of a time limit such as 12:00:00 counts; 0: there is no such setting.
    """

    name: str
    title: str
    programs: tuple[str, str, str]
    said: re.Pattern[str]
    bare = False
    number = re.compile(r"[1-9]\d*", re.ASCII)
    stuck = re.compile(r"^held|^error")
    release, joint = "", " "
    show = ""
    look = ""
    exports: tuple[str, ...] = ()
    end = ""
    excludes = True
    memory = True
    walltime = 1.0
    pairs = False
    example = "-q gpu.q"

    # -- before jobs are submitted ---------------------------------------------------------------------------------

    def constructName(self, rundir: Path) -> str:
        """The name of all jobs of a run folder, by which they are listed, also those that an earlier daemon left."""
        word = re.sub(r"[^A-Za-z0-9._-]", "_", rundir.name)[:32]
        return f"appion-{word}-{calcMark(rundir)}"

    def parseWalltime(self, text: Any) -> float:
        """Seconds of a time limit, infinite for none.

        Raises:
            ConfigurationFailure: it is no such limit.
        """
        word = str(text).strip().strip("'\"")
        if not self.walltime or text is None or word.lower() in ("", "0", "unlimited", "infinite"):
            return math.inf
        if not re.fullmatch(r"\d+(?::\d+){0,2}", word):
            raise ConfigurationFailure(f"jobqueue.{self.name}.walltime is {text!r}", "write for example '12:00:00'")
        return self.walltime * sum(int(n) * 60**i for i, n in enumerate(reversed(word.split(":"))))

    @abstractmethod
    def constructOptions(
        self, rundir: Path, gpus: int, options: Mapping[str, Any], excluded: Sequence[str]
    ) -> dict[str, Any]:
        """What dask-jobqueue is to write into a job beside what the site's `options` say.

        Args:
            gpus: how many to ask for; 0: none, or the site's own directives ask.
            excluded: nodes to keep away from, if `excludes`.
        """

    # -- submit, list, cancel --------------------------------------------------------------------------------------

    #: Options of the program that submits, before the script.
    submitOptions: tuple[str, ...] = ()
    #: Whether the script is read from standard input.
    stdin = False

    def readNumber(self, text: str) -> str:
        """The number of the job that was submitted, out of all that was printed.

        Raises:
            JobsError: there is none, or more than one.
        """
        return findNumber(text, self.said, self.bare, self.programs[0])

    @abstractmethod
    def constructListing(self, label: str) -> tuple[str, ...]:
        """The command that lists this user's jobs of that name, those that have just ended too, where it can."""

    @abstractmethod
    def readListing(self, text: str, label: str) -> dict[str, Listed]:
        """Jobs of that name, by number, from what the command printed; other jobs are none of ours.

        Raises:
            JobsError: it is cut off or something else; then nothing of it is to be believed.
        """

    def isEmpty(self, error: str) -> bool:  # noqa: ARG002
        """Whether the command failed only because there is no job to list."""
        return False

    def constructCancel(self, label: str, numbers: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """The command that cancels these jobs of that name."""
        return (self.programs[2], *numbers)

    def isOver(self, error: str) -> bool:  # noqa: ARG002
        """Whether cancelling failed only because jobs had ended before."""
        return False


def calcMark(rundir: Path) -> str:
    """Eight letters and digits that tell this folder from others."""
    return hashlib.sha256(str(rundir).encode()).hexdigest()[:8]


def calcOrder(number: str) -> tuple[int, str]:
    """What to sort numbers of jobs by: ``12.server`` comes after ``9.server``."""
    match = re.match(r"\d+", number)
    return (int(match[0]) if match else 0, number)


def findUser() -> str:
    """The name of the user whose jobs are listed."""
    return pwd.getpwuid(getuid()).pw_name


def hasGPU(lines: Sequence[Any] | Mapping[str, Any] | str | None) -> bool:
    """Whether the site's own words ask for GPUs already."""
    return re.search(r"gpu|gres", str(lines or ""), re.IGNORECASE) is not None


def readJSON(text: str, program: str) -> Any:
    """What a command printed as JSON, from its first bracket on: a site's banner may stand before it.

    Raises:
        JobsError: it is cut off or something else.
    """
    start = re.search(r"^\s*[{\[]", text, re.MULTILINE)
    try:
        return json.JSONDecoder().raw_decode(text[start.start() :].lstrip())[0] if start else _refuse()
    except ValueError:
        raise JobsError(f"{program} printed no list of jobs: {quote(text)}") from None


def _refuse() -> Any:
    raise ValueError
