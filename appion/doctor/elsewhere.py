"""A Dask scheduler that is there already: is it, and have its workers this package?"""

from __future__ import annotations

from appion.base.records.stamp import readVersion
from appion.base.workers.elsewhere.address import checkElsewhere, findScheduler
from appion.base.workers.elsewhere.scheduler import dial, explainLoss
from appion.doctor.finding import NOTE, TODO, WELL, Finding

TITLE = "Dask"


def checkDask(kind: str) -> Finding:
    """Ask a scheduler, given its address or the path of its file, and its workers.

    Raises:
        ConfigurationFailure: the setting, or what goes with it, is wrong.
    """
    checkElsewhere(kind)
    try:
        with dial(*findScheduler(kind)) as client:
            versions = client.run(readVersion, on_error="return")
    except Exception as error:
        failure = explainLoss(error)
        remedy = failure.remedy or "start it, or correct appion.cluster"
        return Finding(TODO, TITLE, f"the scheduler {kind} cannot be asked: {failure.reason}", remedy)
    others = {where: version for where, version in versions.items() if version != readVersion()}
    if others:
        where, version = next(iter(others.items()))
        told = f"{type(version).__name__}: {version}" if isinstance(version, BaseException) else f"appion {version}"
        return Finding(TODO, TITLE, f"{len(others)} of {len(versions)} workers of {kind} have not the version of this "
                       f"host, {readVersion()}: {where} has {told}", "install the same everywhere")  # fmt: skip
    if not versions:
        return Finding(NOTE, TITLE, f"the scheduler {kind} is there, and has no worker now")
    return Finding(WELL, TITLE, f"the scheduler {kind} has {len(versions)} workers; whether they see the folders is "
                   "looked at when a run starts")  # fmt: skip
