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
from appion.motioncorrection.records import MotionCorrectionTask
from appion.motioncorrection.store.names import constructAlignedName
from appion.motioncorrection.store.references import constructReferenceNames

log = logging.getLogger(__name__)


def constructLine(task: MotionCorrectionTask, job: Job) -> dict[str, object]:
    """Return ``{"argv": […], "outputs": […]}``; a gain reference that is not there yet is told and named all the same.

    Raises:
        Failure: there is no command line for this exposure.
    """
    origin = task.origin
    try:
        params = constructReferenceNames(task).params
    except Failure as failure:
        log.warning("%s: %s", origin.filename, failure)
        without = replace(origin, references=replace(origin.references, gain=""))
        params = replace(constructReferenceNames(replace(task, origin=without)).params, gain=origin.references.gain)
    argv = constructMotionCorCmd(
        params, constructInputName(params), constructOutputName(params), INTFILE if constructIntFile(params) else ""
    )
    return {"argv": argv, "outputs": constructOutputs(task, job.args.commit)}


def constructOutputs(task: MotionCorrectionTask, commit: bool) -> list[str]:
    """Return the files that would stay: the sums among the session's images, or in the run folder, and both logs."""
    origin, params = task.origin, task.params
    labels = [params.options.alignlabel] + [f"{params.options.alignlabel}-DW"] * isWeighted(params)
    if commit:
        folder = Path(origin.image_path)
        names = [
            constructAlignedName(origin.filename, origin.preset, label, lambda name: (folder / f"{name}.mrc").exists())
            for label in labels
        ]
        sums = [str(folder / f"{name}.mrc") for name in names]
    else:
        sums = [params.files.sum, params.files.weighted][: len(labels)]
    return [*sums, params.files.shift_log, params.files.program_log]
