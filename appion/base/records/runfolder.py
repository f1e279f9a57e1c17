"""Where everything lies in the folder `.appion` of a run: for those who write it and those who read it."""

from __future__ import annotations

from pathlib import Path

FOLDER = ".appion"


def lockPath(rundir: Path | str) -> Path:
    """The lock file of a run. It stays when nobody holds it: the lock is on the file, not the file itself."""
    return Path(rundir) / FOLDER / "lock"


def holderPath(rundir: Path | str) -> Path:
    """Who holds the lock, for those who may not lock. What it says is true only of a process that is still there."""
    return Path(rundir) / FOLDER / "holder.json"


def statusPath(rundir: Path | str) -> Path:
    """Where the status of a run is kept."""
    return Path(rundir) / FOLDER / "status.json"


def eventsPath(rundir: Path | str) -> Path:
    """Where the events of a run are kept."""
    return Path(rundir) / FOLDER / "events.jsonl"


def seriesPath(rundir: Path | str) -> Path:
    """Where the numbers of a run's stored exposures are kept, a line for each."""
    return Path(rundir) / FOLDER / "series.jsonl"


def alarmsPath(rundir: Path | str) -> Path:
    """Where it is kept which alarms there are, and who is still to be told."""
    return Path(rundir) / FOLDER / "alarms.json"


def alarmsLockPath(rundir: Path | str) -> Path:
    """What whoever judges the alarms of a run locks meanwhile."""
    return Path(rundir) / FOLDER / "alarms.lock"


def thumbnailPath(rundir: Path | str, name: str) -> Path:
    """Where the small picture of the micrograph made of an exposure of this name is."""
    return Path(rundir) / "thumbs" / f"{name}.jpg"


def driftPlotPath(rundir: Path | str, name: str) -> Path:
    """Where the plot of an exposure's drift is. No name's picture is another one's plot: they end in other ways."""
    return Path(rundir) / "thumbs" / f"{name}.drift.png"


def journalPath(rundir: Path | str, image_id: int) -> Path:
    """Where the record of one image is kept."""
    return Path(rundir) / FOLDER / "journal" / f"{image_id}.json"


def attemptsPath(rundir: Path | str) -> Path:
    """Where the failures of a run are kept: a line for each change."""
    return Path(rundir) / FOLDER / "attempts.jsonl"


def formerAttemptsPath(rundir: Path | str) -> Path:
    """Where earlier versions kept them, all in one; of no account beside the file of lines."""
    return Path(rundir) / FOLDER / "attempts.json"


def retryFolder(rundir: Path | str) -> Path:
    """Where requests to try again wait for the daemon."""
    return Path(rundir) / FOLDER / "retry"


def runOptionsPath(rundir: Path | str) -> Path:
    """Where the options of a run are kept."""
    return Path(rundir) / FOLDER / "options.json"


def scratchFolder(rundir: Path | str) -> Path:
    """Where the scratch folders of a run are unless they lie elsewhere."""
    return Path(rundir) / FOLDER / "scratch"
