"""A command that measures micrographs and stores their numbers in the series of its run: all but what is measured.

No row of the database is a result. What is done is what has a line in the series, and whoever looks for the run finds
it by its job.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from appion.base.cli.job import Call, Command, Job
from appion.base.cli.options import Parser, constructParser
from appion.base.failures import ConfigurationFailure
from appion.base.records.ids import Ids
from appion.base.records.micrograph import (
    ComputedMeasure,
    MeasureContext,
    Measured,
    MeasureOptions,
    MeasureParams,
    MeasureTask,
)
from appion.base.records.program import Program
from appion.base.records.steps import RegisteredStep
from appion.base.records.task import Origin, decodeComputed
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.micrographs import retrieveParams
from appion.base.retrieve.picture import checkComplete
from appion.base.retrieve.series import readSeries
from appion.base.retrieve.session import Session
from appion.base.workers.measure import Numbers, measureMicrograph


@dataclass(frozen=True)
class PlainRun:
    """A run without a row of its own; `def_id` is that of its folder's."""

    def_id: int


def constructCommand(
    step: RegisteredStep,
    measure: Callable[[MeasureParams], Numbers],
    version: str,
    description: str,
    addOptions: Callable[[Parser], object] = lambda _parser: None,
) -> Command[Job, PlainRun]:
    """Return the command ``<name>.py`` of a step.

    Args:
        measure: returns the numbers of a micrograph by the names of the step's columns; on a worker, so that it has to
            be a function of a module. It raises NotReady, ImageFailure or InfrastructureFailure.
        version: of the measurement: where it is another, so are its results.
        addOptions: adds the step's own options to the parser; all of them count as shaping results.
    """
    return Command(
        names=(f"{step.name}.py",),
        step=step.name,
        section="steps",
        timed=False,
        folder=step.name,
        jobtype=step.name,
        constructParser=partial(constructStepParser, description, addOptions),
        constructOptions=constructOptions,
        prepareJob=partial(prepareJob, Program(step.name, sys.executable, version)),
        hasResults=lambda _runname, rundir: bool(readSeries(rundir).lines),
        findRun=lambda _job: None,
        saveRun=lambda _job, path_id: PlainRun(path_id),
        retrieveDone=retrieveDone,
        retrieveParams=retrieveParams,
        checkReady=lambda task, settle: checkComplete(task.params.micrograph, settle),
        calc=partial(measureMicrograph, measure),
        store=lambda _computed, _run: (),  # the line in the series, which the loop writes, is all there is
        decode=decodeMeasured,
        decodeOptions=lambda record: MeasureOptions(decodeMeasured(record).result.params.options),
        measure=lambda computed: computed.result.numbers,
        reads=lambda task: task.params.micrograph,
        constructLine=constructLine,
    )


def constructStepParser(description: str, addOptions: Callable[[Parser], object], prog: str) -> Parser:
    """Return the parser with the options of every program and those of the step."""
    parser = constructParser(prog, description)
    known = {action.dest for action in parser.actions}
    addOptions(parser)
    parser.shaping.update({action.dest for action in parser.actions} - known)
    return parser


def constructOptions(args: argparse.Namespace, parser: Parser) -> MeasureOptions:
    """Return the step's own options.

    Raises:
        ConfigurationFailure: --no-commit, which would leave nothing of a step that stores no rows.
    """
    if not args.commit:
        remedy = "use --dry-run to see what would be done, or another --runname"
        raise ConfigurationFailure("--no-commit: this step stores numbers in its run folder only", remedy)
    return MeasureOptions({dest: getattr(args, dest) for dest in sorted(parser.shaping)})


def prepareJob(program: Program, call: Call, options: MeasureOptions, session: Session) -> Job:
    """Return what the call works on: every image of the session that the options select, aligned ones too."""
    candidates, rejected = constructSelection(call.args, session, saved_frames=False, aligned=True)
    context = MeasureContext(call.args.rundir, options, program)
    return Job(call=call, session=session, context=context, retrieveCandidates=candidates, retrieveRejected=rejected)


def retrieveDone(job: Job, _run_id: int | None) -> Set[int]:
    """Return the images that have a line in the series; none where all are to be done again."""
    return Ids(readSeries(job.context.rundir).lines if getattr(job.args, "continue") else ())


def decodeMeasured(record: dict[str, Any]) -> ComputedMeasure:
    """Return what a record of the journal was made from. Raises ValueError: it is none."""
    return decodeComputed(record, Origin, Measured, refuseRecord)


def refuseRecord(_record: dict[str, Any]) -> Any:
    """Raise ValueError: such steps never wrote records of the first format."""
    raise ValueError("not the record of a measurement")


def constructLine(task: MeasureTask, _job: Job) -> dict[str, object]:
    """Return what a dry run prints of a micrograph."""
    return {"micrograph": task.params.micrograph, "options": task.params.options}
