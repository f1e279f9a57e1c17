"""The few numbers that a plan follows from, in a file of its folder: what the microscope is started with.

The file is also the sign that a folder was made here: only a folder with it is ever removed.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from appion.demo.movies import KINDS, changeFrames
from appion.demo.plan import PROJECT, SESSION, Plan, constructPlan
from appion.demo.processes import DemoError

FILE = "appion-demo.json"

#: What names a session that was made here, and what its row and its project's say. Leginon's names begin with the year.
NAME = re.compile(r"demo\d\d[a-z]{3}\d\d[a-z]")
COMMENT = re.compile(r"appion demo ([0-9a-f]{16}): simulated, safe to delete")


@dataclass(frozen=True)
class Recipe:
    """How a plan is made.

    Attributes:
        count: exposures. every: seconds from one to the next.
        movie: name of the kind of movie; nframes: raw frames of a movie, None as usual for the kind.
        session, projectid: name of the session and id of its project.
        token: 16 hexadecimal digits that nothing else has, by which the rows of a rehearsal are known; empty without.
    """

    count: int
    every: float
    movie: str = "small"
    nframes: int | None = None
    session: str = SESSION
    projectid: int = PROJECT
    token: str = ""

    def constructPlan(self, folder: Path) -> Plan:
        """Return the plan."""
        movie = KINDS[self.movie]
        if self.nframes is not None:
            movie = changeFrames(movie, self.nframes)
        comment = constructComment(self.token) if self.token else "simulated"
        return constructPlan(folder, self.count, self.every, movie=movie, session=self.session,
                             projectid=self.projectid, comment=comment)  # fmt: skip


def constructComment(token: str) -> str:
    """Return what the rows of a rehearsal say of themselves."""
    return f"appion demo {token}: simulated, safe to delete"


def constructProjectName(session: str) -> str:
    """Return the name of the project of a rehearsal's session."""
    return f"APPION DEMO {session} - safe to delete"


def saveRecipe(folder: Path, recipe: Recipe) -> None:
    """Write the file."""
    (folder / FILE).write_text(json.dumps(dataclasses.asdict(recipe), indent=1) + "\n")


def readRecipe(folder: Path) -> Recipe:
    """Return what the file of a folder says.

    Raises:
        DemoError: there is none, or it is not one of these.
    """
    try:
        return Recipe(**json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DemoError(f"{folder / FILE} cannot be read: {error}") from error
