"""What a dry run prints of a micrograph: the program's command line and the answers to its questions."""

from __future__ import annotations

from appion.base.cli.job import Job
from appion.ctfestimation.calc.external import constructAnswers, constructArgv
from appion.ctfestimation.records import CTFTask


def constructLine(task: CTFTask, job: Job) -> dict[str, object]:  # noqa: ARG001
    """Return ``{"argv": […], "answers": {…}}``; Gctf and GCtfFind ask nothing.

    The names among the answers are relative to the worker's scratch folder.
    """
    params = task.params
    answers = {} if params.program.kind in ("gctf", "gctffind") else constructAnswers(params)
    return {"argv": list(constructArgv(params)), "answers": answers}
