"""What a rehearsal left in the databases: found by what only its own rows have, and removed in an order that can be
broken off and begun again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from appion.demo.recipe import COMMENT, NAME, constructProjectName
from appion.demo.tables import Table, deleteRows, readTables, selectRows
from sinedon.config import readConfig
from sinedon.errors import ConnectionFailure
from sinedon.models import appiondata, leginondata, projectdata
from sinedon.setup import UNKNOWN_DATABASE, openAppionDatabase

#: Tables whose rows any session may use, once they are there: names of programs, options, hosts and people, parameters.
#: They stay.
SHARED = ("ScriptProgramName", "ScriptUserName", "ScriptHostName", "ScriptParamName", "ApDDStackParamsData",
          "ApCtfFind4ParamsData")  # fmt: skip


@dataclass
class Removal:
    """The rows of one rehearsal.

    Attributes:
        token, session: of the rehearsal; the session's name may be empty where only its project is left.
        session_id, project_ids: of their rows; 0 and empty where there are none.
        image_path: as the session's row has it.
        appiondb: name of the Appion database, or empty.
        rows: ids by (database, table), in the order in which they are removed.
        left: rows of others that refer to the session as well as to something else, by table: they stay.
    """

    token: str
    session: str
    session_id: int = 0
    project_ids: tuple[int, ...] = ()
    image_path: str = ""
    appiondb: str = ""
    rows: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The folder of the rehearsal by the session's row, FOLDER/leginon/SESSION/rawdata; empty if that is else."""
        end = f"/{self.session}/leginon/{self.session}/rawdata"
        return self.image_path[: len(self.session) + 1 - len(end)] if self.image_path.endswith(end) else ""

    def add(self, alias: str, table: str, ids: Collection[int]) -> None:
        """Let rows be removed, too."""
        if ids:
            self.rows.setdefault((alias, table), set()).update(ids)


def findRemovals() -> list[Removal]:
    """Return every rehearsal in the databases: a session or a project of the name and with the words of one.

    Both are looked at: the name has to be one that Leginon does not give, and the row has to say that it is simulated.
    """
    found: dict[str, Removal] = {}
    sessions = leginondata.SessionData.objects.filter(name__startswith="demo")
    for row in sessions.order_by("def_id"):
        match = COMMENT.fullmatch(row.comment or "")
        if match and NAME.fullmatch(row.name or "") and match[1] not in found:
            found[match[1]] = Removal(match[1], row.name, row.def_id, image_path=row.image_path or "")
    for row in projectdata.projects.objects.filter(name__startswith=constructProjectName("demo").split("demo")[0]):
        match = COMMENT.fullmatch(row.long_description or "")
        session = (row.name or "").split(" ")[2:3]
        if not match or not session or not NAME.fullmatch(session[0]) or row.name != constructProjectName(session[0]):
            continue
        removal = found.setdefault(match[1], Removal(match[1], session[0]))
        if removal.session == session[0]:
            removal.project_ids = (*removal.project_ids, row.def_id)
    return list(found.values())


def fillRemoval(removal: Removal) -> None:
    """Find the rows of a rehearsal in all three databases.

    Raises:
        sinedon.errors.SinedonError: its Appion database cannot be reached.
    """
    processing = projectdata.processingdb.objects.filter(project_id__in=removal.project_ids)
    removal.appiondb = str(processing.order_by("-def_id").values_list("appiondb", flat=True).first() or "")
    images = leginondata.AcquisitionImageData.objects.filter(session_id=removal.session_id or -1)
    image_ids = set(images.values_list("def_id", flat=True))
    leginon = [table for table in readTables("leginondata") if table.name != "SessionData"]
    leginon.sort(key=lambda table: table.name == "AcquisitionImageData")  # by it the others are found
    if removal.appiondb and not isThere(removal.appiondb):
        removal.appiondb = ""
    if removal.appiondb:
        tables = readTables("appiondata")
        findOwn(removal, tables, image_ids)
        findPrograms(removal, tables, removal.folder)
    findOwn(removal, leginon, image_ids)
    instruments = leginondata.InstrumentData.objects.filter(hostname=f"appion-demo-{removal.session}")
    removal.add("leginondata", "InstrumentData", set(instruments.values_list("def_id", flat=True)))
    removal.add("projectdata", "processingdb", set(processing.values_list("def_id", flat=True)))
    # The project is another's as soon as it has another session.
    joined = projectdata.projectexperiments.objects.filter(project_id__in=removal.project_ids)
    removal.add("projectdata", "projectexperiments",
                set(joined.filter(session_id=removal.session_id or -1).values_list("def_id", flat=True)))  # fmt: skip
    others = set(joined.exclude(session_id=removal.session_id or -1).values_list("project_id", flat=True))
    if others:
        removal.left["projects"] = len(others)
        removal.rows.pop(("projectdata", "processingdb"), None)
    removal.add("projectdata", "projects", set(removal.project_ids) - others)
    removal.add("leginondata", "SessionData", {removal.session_id} - {0})


def isThere(appiondb: str) -> bool:
    """Connect to an Appion database; return False if it does not exist.

    Raises:
        sinedon.errors.ConnectionFailure: it cannot be reached.
    """
    section = readConfig()["appiondata"]
    try:
        openAppionDatabase(appiondb, section)
    except ConnectionFailure as failure:
        number = getattr(failure.__cause__, "args", (None,))[:1]
        if section.engine == "mysql" and number != (UNKNOWN_DATABASE,):
            raise
        return False
    return True


def findOwn(removal: Removal, tables: list[Table], image_ids: set[int]) -> None:
    """Find rows that refer to the session or its images, and to no other session or image."""
    own = {"SessionData": {removal.session_id}, "AcquisitionImageData": image_ids}
    for table in tables:
        columns = {target: table.listColumns(target) for target in own}
        rows: dict[int, dict[str, int]] = {}
        for target, ids in own.items():
            if columns[target] and removal.session_id:
                rows |= selectRows(table, columns[target], ids)
        for row_id, references in rows.items():
            foreign = any(
                references.get(column, 0) not in {0, *ids} for target, ids in own.items() for column in columns[target]
            )
            if foreign:
                removal.left[table.name] = removal.left.get(table.name, 0) + 1
            else:
                removal.add(table.alias, table.name, {row_id})


def findPrograms(removal: Removal, tables: list[Table], folder: str) -> None:
    """Find what was recorded of the programs that ran in `folder`: runs, values of their options, paths."""
    if not folder:
        return
    candidates = appiondata.ApPathData.objects.filter(path__startswith=folder).values_list("def_id", "path")
    paths = {def_id for def_id, path in candidates if path == folder or str(path).startswith(f"{folder}/")}
    runs = set(appiondata.ScriptProgramRun.objects.filter(rundir_id__in=paths).values_list("def_id", flat=True))
    values = appiondata.ScriptParamValue.objects.filter(progrun_id__in=runs)
    removal.add("appiondata", "ScriptParamValue", set(values.values_list("def_id", flat=True)))
    removal.add("appiondata", "ScriptProgramRun", runs)
    for table in tables:
        gone = removal.rows.get(("appiondata", table.name), set())
        columns = table.listColumns("ApPathData")
        for row_id, references in selectRows(table, columns, paths).items():
            if row_id not in gone:  # another's row that says something of this folder
                paths -= {references.get(column, 0) for column in columns}
                removal.left[table.name] = removal.left.get(table.name, 0) + 1
    removal.add("appiondata", "ApPathData", paths)


def removeRows(removal: Removal) -> None:
    """Remove the rows in their order: those last by which a rehearsal and its other rows are found."""
    if removal.appiondb:
        openAppionDatabase(removal.appiondb, readConfig()["appiondata"])
    for (alias, table), ids in removal.rows.items():
        deleteRows(alias, table, ids)
