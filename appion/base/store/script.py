"""Which program ran with which options, where and by whom: the script tables, from which the web repeats a run."""

from __future__ import annotations

from collections.abc import Mapping

import sinedon
from appion.base.records.script import ScriptRun
from appion.base.store.path import savePathData
from sinedon.models import appiondata


def saveScriptRun(script: ScriptRun, job_id: int | None, path_id: int) -> int:
    """Return the id of the `ScriptProgramRun` row of a start and its options; all rows are found or inserted.

    Args:
        script: what is recorded.
        job_id: the job row, or None.
        path_id: the `ApPathData` row of the run folder.
    """
    progname = sinedon.insertRow(appiondata.ScriptProgramName, name=script.program).def_id
    run = sinedon.insertRow(
        appiondata.ScriptProgramRun, runname=script.runname, revision=script.revision, progname=progname,
        username=sinedon.insertRow(appiondata.ScriptUserName, **script.user).def_id,
        hostname=sinedon.insertRow(appiondata.ScriptHostName, **script.host).def_id,
        rundir=path_id, job=job_id, appion_path=savePathData(script.package), unixshell=script.shell).def_id
    saveParameters(script.parameters, progname, run)
    return run


def saveParameters(parameters: Mapping[str, tuple[str, str]], progname: int, run: int) -> None:
    """Insert the option names and values that are not there yet; two queries when all are."""
    names = dict(appiondata.ScriptParamName.objects.filter(progname_id=progname).order_by("-def_id")
                 .values_list("name", "def_id"))
    values = set(appiondata.ScriptParamValue.objects.filter(progrun_id=run)
                 .values_list("paramname_id", "value", "usage"))
    for dest, (value, usage) in parameters.items():
        name = names.get(dest) or sinedon.insertRow(appiondata.ScriptParamName, name=dest, progname=progname).def_id
        if (name, value, usage) not in values:
            sinedon.insertRow(appiondata.ScriptParamValue, value=value, usage=usage, paramname=name, progrun=run)
