"""A session as web pages find it: exposures of the demo's microscope, both daemons with the CPU programs, MyISAM.

Everything is read the way the pages read it: raw SQL on the Appion database, Leginon's tables with `leginondb.` before
their names.
"""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pymysql

import sinedon
from appion.demo.commands import constructCtfCommand, constructEnvironment, constructMotionCorCommand, findCommand
from appion.demo.leginon import runSession
from appion.demo.plan import Plan, Planned, constructPlan
from appion.demo.processes import Process, startProcess, stopProcesses
from appion.demo.report import readEstimated
from sinedon import config
from sinedon.connection import constructDatabase, registerDatabases
from sinedon.create import createDatabases
from sinedon.live import readLiveTables
from sinedon.models import projectdata
from sinedon.schema import createMissing
from tests.services.mariadb import MariaDB

#: Small exposures, one of them broken: enough for every page, done within seconds.
COUNT, SHAPE, FRAMES = 5, (512, 720), 12
SESSION_ID, PROJECT = 1, 1
APPION = "ap1"

Row = dict[str, Any]


@dataclass
class Filled:
    """The databases and folders of a session that has been processed.

    Attributes:
        schema: `init`: all tables as this package makes them; `2016`: those of a classic installation, completed.
        ctf_job: id of the job row that a web page made, as which CTF estimation ran.
        running: the menu's counts of jobs, (type, status) to number, while both daemons ran.
    """

    schema: str
    server: MariaDB
    plan: Plan
    environment: dict[str, str]
    ctf_job: int = 0
    running: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def good(self) -> list[Planned]:
        """The exposures that have results, in the order of their ids."""
        return [planned for planned in self.plan.exposures if planned.is_good]

    @property
    def session_id(self) -> int:
        """The row of the demo's session; the schema of 2016 comes with a session of its own."""
        return self.readOne("SELECT DEF_id AS id FROM leginondb.SessionData WHERE name = 'demo'")["id"]

    def read(self, statement: str, *values: Any) -> list[Row]:
        """Run a statement on the Appion database and return its rows, column names to values."""
        with self.connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall() or ())

    @cached_property
    def connection(self) -> pymysql.connections.Connection:
        """A connection to the Appion database; of tables without transactions it always sees the newest."""
        return self.server.connect(APPION)

    def readOne(self, statement: str, *values: Any) -> Row:
        """Return the only row there is."""
        (row,) = self.read(statement, *values)
        return row

    def readNames(self) -> dict[str, Row]:
        """Return id, preset, target and the rest of every image row of the session, by file name."""
        rows = self.read(
            "SELECT a.*, p.name AS presetname FROM leginondb.AcquisitionImageData a "
            "LEFT JOIN leginondb.PresetData p ON a.`REF|PresetData|preset` = p.DEF_id "
            "WHERE a.`REF|SessionData|session` = %s ORDER BY a.DEF_id",
            self.session_id,
        )
        return {row["filename"]: row for row in rows}

    def nameAligned(self, planned: Planned, label: str = "a") -> str:
        """Return the name of a micrograph made of an exposure."""
        return planned.filename.replace("enn", f"enn-{label}")

    def countJobs(self) -> dict[tuple[str, str], int]:
        """Return what the processing menu counts: jobs that nobody told it to ignore, by type and status."""
        rows = self.read(
            "SELECT jobtype, status, count(*) AS number FROM ApAppionJobData "
            "WHERE `REF|leginondata|SessionData|session` = %s AND (status IS NULL OR status != 'I') "
            "GROUP BY jobtype, status",
            self.session_id,
        )
        return {(row["jobtype"], row["status"]): row["number"] for row in rows}


def fillSession(folder: Path, schema: str, server: MariaDB) -> Filled:
    """Make databases of a schema, take a session, have both daemons work on it until nothing is left, end them.

    Motion correction is started by hand, CTF estimation as a web page's job. Django is to be found unconnected after
    it. SINEDON_CFG_PATH must name `folder`/session.
    """
    plan = constructPlan(folder / "session", COUNT, 0.0, shape=SHAPE, nframes=FRAMES)
    plan.folder.mkdir()
    (plan.folder / "sinedon.cfg").write_text(server.constructConfig())
    filled = Filled(schema, server, plan, constructEnvironment(plan))
    try:
        createSchema(schema, server)
        runSession(plan)
        addTargets(filled)
        filled.ctf_job = insertWebJob(filled, plan.ctf_rundir, "ctfestimate")
        runDaemons(filled)
    finally:
        registerDatabases({})
    return filled


def createSchema(schema: str, server: MariaDB) -> None:
    """Make the three databases: Leginon's tables as Leginon of today has them, the Appion database by `init`."""
    if schema == "2016":
        server.loadClassicSchema()
        sinedon.setup()
        createMissing("leginondata")  # as Leginon does when it first writes to them
        createDatabases(PROJECT)
    else:
        server.dropDatabases()
        sections = config.readConfig()
        names = {"leginondata": "leginondb", "projectdata": "projectdb"}
        registerDatabases({alias: constructDatabase(sections[alias], name) for alias, name in names.items()})
        for alias in names:
            createMissing(alias)
            readLiveTables(alias)
        sinedon.insertRow(projectdata.projects, def_id=PROJECT, name="demo", hidden=False)
        createDatabases(PROJECT, APPION)
    sinedon.setup(PROJECT)


def addTargets(filled: Filled) -> None:
    """Give every exposure its target on the picture of the hole, which the microscope of the demo leaves out."""
    images = filled.readNames()
    hole = next(row for row in images.values() if row["presetname"] == "hln")
    for number, planned in enumerate(filled.plan.exposures, 1):
        filled.read(
            "INSERT INTO leginondb.AcquisitionImageTargetData "
            "(`REF|SessionData|session`, `REF|AcquisitionImageData|image`, number, type, status) "
            "VALUES (%s, %s, %s, 'acquisition', 'done')",
            filled.session_id, hole["DEF_id"], number,
        )  # fmt: skip
        filled.read(
            "UPDATE leginondb.AcquisitionImageData SET `REF|AcquisitionImageTargetData|target` = "
            "(SELECT max(DEF_id) FROM leginondb.AcquisitionImageTargetData) WHERE DEF_id = %s",
            images[planned.filename]["DEF_id"],
        )


def insertWebJob(filled: Filled, rundir: Path, jobtype: str) -> int:
    """Insert a job row as a web page does before it submits a job, and return its id: no status, no cluster job yet."""
    paths = []
    for path in (str(rundir), ""):
        filled.read("INSERT INTO ApPathData (path) VALUES (%s)", path)
        paths.append(filled.readOne("SELECT max(DEF_id) AS id FROM ApPathData")["id"])
    filled.read(
        "INSERT INTO ApAppionJobData (`REF|ApPathData|path`, `REF|ApPathData|clusterpath`, `REF|ApPathData|dmfpath`, "
        "name, jobtype, `REF|leginondata|SessionData|session`, cluster, user) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        paths[0], paths[0], paths[1], f"{rundir.name}.appionsub.job", jobtype, filled.session_id, socket.gethostname(),
        getpass.getuser(),
    )  # fmt: skip
    return filled.readOne("SELECT max(DEF_id) AS id FROM ApAppionJobData")["id"]


def runDaemons(filled: Filled) -> None:
    """Run both daemons until every good exposure has its CTF, look at the menu, and end them in good order."""
    plan = filled.plan
    commands = {
        "motioncor2": constructMotionCorCommand(plan),
        "ctffind4": [*constructCtfCommand(plan), f"--jobid={filled.ctf_job}"],
    }
    processes: list[Process] = []
    try:
        for name, command in commands.items():
            processes.append(startProcess(findCommand(command), plan.folder / f"{name}.log", filled.environment))
        waitFor(lambda: len(readEstimated(plan)) == len(filled.good), processes, "the CTF of every exposure")
        filled.running = filled.countJobs()
        stopProcesses(processes, 60)
        for process in processes:
            process.checkEnd()
    finally:
        stopProcesses(processes, 0.5)


def waitFor(condition: Callable[[], Any], processes: list[Process], what: str, timeout: float = 300) -> Any:
    """Wait until a condition holds and return what it says; the processes live all the while."""
    end = time.monotonic() + timeout
    while not (answer := condition()):
        for process in processes:
            process.checkRunning()
        if time.monotonic() > end:
            tails = "\n".join(process.readTail() for process in processes)
            raise AssertionError(f"{what}: not within {timeout:g} s\n{tails}")
        time.sleep(0.2)
    return answer
