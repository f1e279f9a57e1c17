"""What every run writes into the databases, and whether it may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from appion.base.failures import ConfigurationFailure
from sinedon.models import appiondata
from sinedon.rights import describeRefusals, findMissingTables, findRefusals

#: Tables that rows are added to whatever the step, and those of which rows are changed.
WRITTEN = (
    appiondata.ApPathData, appiondata.ApAppionJobData, appiondata.ScriptProgramName, appiondata.ScriptUserName,
    appiondata.ScriptHostName, appiondata.ScriptProgramRun, appiondata.ScriptParamName, appiondata.ScriptParamValue,
)  # fmt: skip
CHANGED = (appiondata.ApAppionJobData,)


def checkRights(written: Iterable[Any] = ()) -> None:
    """Find out whether a run may store its results. Nothing is written.

    Args:
        written: the tables that its step adds rows to.

    Raises:
        ConfigurationFailure: a right, a table or a default is missing; with what to type.
    """
    refusals = findRefusals([*WRITTEN, *written], CHANGED)
    if refusals:
        raise ConfigurationFailure(f"results cannot be stored: {describeRefusals(refusals)}")


def checkTables(written: Iterable[Any] = ()) -> None:
    """Find out whether there are the tables that a run stores its results in: a right to read is enough.

    A table that is missing reads as empty, so that nobody would hear of a database that was never initialised.

    Raises:
        ConfigurationFailure: one is missing; with what to type.
    """
    refusals = findMissingTables([*WRITTEN, *written])
    if refusals:
        raise ConfigurationFailure(f"results could not be stored: {describeRefusals(refusals)}")
