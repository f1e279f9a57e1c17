"""What a dry run prints of an exposure: the program's command line and the files that would stay."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from appion.base.cli.job import Job
from appion.base.failures import Failure
from appion.motioncorrection.calc.external.command import (
    INTFILE,
    constructInputName,
    constructIntFile,
    constructMotionCorCmd,
    constructOutputName,
    isWeighted,
)
from appion.motioncorrection.calc.external.program import constructLogName
from appion.motioncorrection.records import MotionCorrectionParams
from appion.motioncorrection.store.names import constructAlignedName
from appion.motioncorrection.store.references import constructReferenceNames

log = logging.getLogger(__name__)


def constructLine(params: MotionCorrectionParams, job: Job) -> dict[str, object]:
    """Return ``{"argv": […], "outputs": […]}``; a gain reference that is not there yet is told and named all the same.

    Raises:
        Failure: there is no command line for this exposure.
    """
    try:
        params = constructReferenceNames(params)
    except Failure as failure:
        log.warning("%s: %s", params.filename, failure)
        params = replace(constructReferenceNames(replace(params, gain="")), gain=params.gain)
    argv = constructMotionCorCmd(
        params, constructInputName(params), constructOutputName(params), INTFILE if constructIntFile(params) else ""
    )
    return {"argv": argv, "outputs": constructOutputs(params, job.args.commit)}


def constructOutputs(params: MotionCorrectionParams, commit: bool) -> list[str]:
    """Return the files that would stay: the sums among the session's images, or in the run folder, and both logs."""
    labels = [params.options.alignlabel] + [f"{params.options.alignlabel}-DW"] * isWeighted(params)
    if commit:
        folder = Path(params.image_path)
        names = [
            constructAlignedName(params.filename, params.preset, label, lambda name: (folder / f"{name}.mrc").exists())
            for label in labels
        ]
        sums = [str(folder / f"{name}.mrc") for name in names]
    else:
        sums = [f"{params.rundir}/{params.filename}{end}.mrc" for end in ("_c", "_c-DW")[: len(labels)]]
    logs = (f"{params.filename}_st_Log.txt", constructLogName(params.filename, params.program.kind))
    return sums + [f"{params.rundir}/{name}" for name in logs]
