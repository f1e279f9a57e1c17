"""What the keeper of sessions says of itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from appion.base.calc.pace import formatDuration
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.keeping import Keeping, KeptRun, NotStarted, keepingPath

#: Seconds without a sign of life after which a keeper is taken to be gone.
PATIENCE = 120.0

#: States of runs that a person should look at, and of those that are not begun so far.
TROUBLED, COMING = ("backing off", "refused"), ("waiting", "starting")


def calcKeepFolder() -> Path:
    """Return the folder in which the keeper keeps what it knows."""
    if folder := setting("keep.folder"):
        return Path(folder).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "appion" / "keep"


def readKeeper() -> tuple[Keeping | None, str]:
    """Return what the keeper of the settings last wrote, None if there never was one, and why it cannot be read.

    A folder that no setting names, and that may not be looked into, is nobody's.
    """
    try:
        return readKeeping(calcKeepFolder()), ""
    except ConfigurationFailure as failure:
        nobody = isinstance(failure.__cause__, PermissionError) and not setting("keep.folder")
        return None, "" if nobody else f"the keeper cannot be told of: {failure}"


def describeKeeper(keeping: Keeping) -> tuple[bool, str]:
    """Return whether a keeper is in trouble, and in words how it is."""
    who, ago = f"process {keeping.pid} on {keeping.host}", time.time() - keeping.heartbeat
    if keeping.ended:
        return False, f"not running, it ended {formatDuration(max(0.0, ago))} ago: {keeping.ended}"
    if ago > PATIENCE:
        return True, (f"no sign of life for {formatDuration(ago)} ({who}): it hangs or is gone, and nobody starts"
                      " daemons; start it again, those that run go on without it")  # fmt: skip
    if keeping.trouble:
        return True, f"kept from its work ({who}): {'; '.join(keeping.trouble)}"
    return False, f"at work ({who}, last sign of life {formatDuration(max(0.0, ago))} ago)"


def describeKept(run: KeptRun) -> str:
    """Return in words what the keeper has to say of a run; empty where its daemon says more."""
    if run.state not in (*TROUBLED, *COMING):
        return run.reason
    return f"{run.state}: {why}" if (why := describeReason(run)) else run.state


def describeReason(run: KeptRun) -> str:
    """Return why a run is in its state, how often it was tried, and when it is tried again, as far as that is known."""
    words = [run.reason] if run.reason else []
    words += [f"started {run.starts} times so far"] if run.state == "backing off" and run.starts > 1 else []
    words += [] if run.next_try is None else [f"tried again at {formatMoment(run.next_try)}"]
    return "; ".join(words)


def formatMoment(seconds: float) -> str:
    """A Unix time as the time of the day, with the date where it is another day's."""
    then = time.localtime(seconds)
    return time.strftime("%H:%M:%S" if then[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M:%S", then)


def readKeeping(folder: Path | str) -> Keeping | None:
    """Return what the keeper last wrote; None if there never was one in this folder.

    Raises:
        ConfigurationFailure: it cannot be read.
    """
    path = keepingPath(folder)
    try:
        words = json.loads(path.read_bytes())
        runs = tuple(KeptRun(**one) for one in words.pop("runs"))
        skipped = tuple(NotStarted(**one) for one in words.pop("skipped"))
        return Keeping(**words, runs=runs, skipped=skipped)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationFailure(f"{path} cannot be read: {error}", "is it of another version?") from error
