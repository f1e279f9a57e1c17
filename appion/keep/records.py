"""What the keeper knows: profiles, sessions and what they have, its runs and those of others, and where it all lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appion.base.records.runfolder import FOLDER

#: How daemons are started.
PROCESS, SYSTEMD, RUNJOB = "process", "systemd", "runjob"
STARTS = (PROCESS, SYSTEMD, RUNJOB)

MOTION, CTF = "motion", "ctf"


@dataclass(frozen=True)
class Program:
    """A classic program: its `kind`, and the folder and the first part of the run name that the web pages give it."""

    kind: str
    folder: str
    base: str


#: What can be kept, as the forms of the web pages name their runs.
PROGRAMS = {
    **dict.fromkeys(
        ("makeDDAlignMotionCor2_UCSF.py", "makeDDAlignMotionCor3.py", "motioncor2.py", "motioncor3.py"),
        Program(MOTION, "ddstack", "ddstack"),
    ),
    "ctffind4.py": Program(CTF, "ctf", "ctffind4run"),
    "ctffind5.py": Program(CTF, "ctf", "ctffind5run"),
    "gctf.py": Program(CTF, "ctf", "gctfrun"),
    "gctffind.py": Program(CTF, "gctffind", "gctffindrun"),
}

#: What jobs of each kind may be called in their rows.
JOBTYPES = {
    MOTION: ("makeddrawframestack", "makeddalignmotioncor2_ucsf", "makeddalignmotioncor3", "motioncor2", "motioncor3"),
    CTF: ("ctfestimate", "gctf", "ctffind4", "ctffind5", "gctffind"),
}


@dataclass(frozen=True)
class Command:
    """A command line of a profile: the `program`, its `words` with placeholders, and how many `gpus` it takes."""

    program: str
    words: tuple[str, ...]
    gpus: int = 0


@dataclass(frozen=True)
class Profile:
    """What is started for which sessions.

    Attributes:
        microscopes, cameras, sessions, presets: patterns with ``*`` and ``?``; projects: ids; formats: of movies.
            Empty: any.
        runs: at a time, of this profile; None: as many as there are.
        priority: of its sessions, higher first. start: one of :data:`STARTS`.
        idle, finished: seconds after which its daemons end; None: as the settings have it.
    """

    name: str
    commands: tuple[Command, ...]
    microscopes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    projects: tuple[int, ...] = ()
    formats: tuple[str, ...] = ()
    runs: int | None = None
    priority: float = 0
    start: str = PROCESS
    idle: float | None = None
    finished: float | None = None


@dataclass(frozen=True)
class Preset:
    """Exposures of a session that were taken alike: with movies, of one preset and one camera.

    `first`, `last`: ids of the first and the last; `seen`: when the last one came (Unix time), as far as is known.
    `buffer`: the folder in which the camera's host buffers movies, or empty.
    """

    name: str
    microscope: str
    camera: str
    format: str
    first: int
    last: int
    seen: float
    buffer: str = ""


@dataclass(frozen=True)
class Session:
    """A session and its presets, the newest first; `finished`: declared so. `projects`: the newest record first."""

    def_id: int
    name: str
    image_path: str
    frame_path: str
    projects: tuple[int, ...] = ()
    finished: bool = False
    presets: tuple[Preset, ...] = ()


@dataclass(frozen=True)
class FoundRun:
    """A run that the databases tell of; `preset` None: not known, or of all presets."""

    session_id: int
    kind: str
    preset: str | None
    rundir: str
    runname: str


@dataclass(frozen=True)
class Want:
    """What a profile asks for: the run of one command for a session and a preset."""

    session: Session
    preset: Preset
    profile: Profile
    number: int

    @property
    def command(self) -> Command:
        return self.profile.commands[self.number]

    @property
    def kind(self) -> str:
        return PROGRAMS[self.command.program].kind

    @property
    def key(self) -> str:
        """By which the run is known again, whatever becomes of the name and the words of the profile."""
        programs = [command.program for command in self.profile.commands[: self.number]]
        return f"{self.session.def_id}-{self.preset.name}-{self.command.program}-{programs.count(self.command.program)}"


@dataclass
class OwnRun:
    """A run of the keeper's, as it stands in a file of the keeper's folder before anything is done about it.

    Attributes:
        key: see :attr:`Want.key`. words: the command line. gpus: that it takes; gpuids: which, where they are dealt.
        state: one of :data:`appion.base.records.keeping.STATES`; reason, since, next_try, starts as there.
        fails: starts in a row after which it died. began: when it was started last. granted: it has a turn.
        stopping: it was told to end, to make room. newest: id of the newest exposure when it ended.
        pid, pid_started: of the process that the keeper started, in clock ticks since boot. job: of the scheduler.
        daemon: the process that holds the lock, if it is of this host.
        told: whether people were told that it is refused. final: a person ended it, for good.
        boot: of the host when it was started last. ran: its daemon was seen at work, so that its folder has been there.
    """

    key: str
    session_id: int
    session: str
    project: int
    profile: str
    preset: str
    program: str
    rundir: str
    runname: str
    words: list[str]
    start: str = PROCESS
    priority: float = 0
    gpus: int = 0
    gpuids: list[int] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    state: str = "waiting"
    reason: str = ""
    since: float = 0.0
    next_try: float | None = None
    starts: int = 0
    fails: int = 0
    began: float = 0.0
    granted: bool = False
    stopping: bool = False
    newest: int = 0
    pid: int | None = None
    pid_started: int | None = None
    daemon: int | None = None
    job: str = ""
    told: bool = True
    final: bool = False
    boot: str = ""
    ran: bool = False

    @property
    def kind(self) -> str:
        return PROGRAMS[self.program].kind

    @property
    def holds(self) -> bool:
        """Whether it holds its place among those that run at a time."""
        return self.state in ("starting", "running")

    @property
    def token(self) -> str:
        """Which start this is: told to the process, which says it with its exit code."""
        return f"start{self.starts}"


def runsFolder(folder: Path | str) -> Path:
    """Where the keeper's runs are kept, a file for each."""
    return Path(folder) / "runs"


def againFolder(folder: Path | str) -> Path:
    """Where sessions are named whose refused runs shall be started again."""
    return Path(folder) / "again"


def exitPath(rundir: Path | str) -> Path:
    """Where it is written with which exit code a daemon that the keeper started ended."""
    return Path(rundir) / FOLDER / "exit"


def jobPath(rundir: Path | str) -> Path:
    """What runJob.py printed: the number of the job."""
    return Path(rundir) / FOLDER / "job"


def outputPath(run: OwnRun) -> Path:
    """What the daemon prints, where the web pages look for the log of a job."""
    return Path(run.rundir) / f"{run.runname}.appionsub.log"
