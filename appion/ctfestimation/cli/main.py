"""ctffind4.py, ctffind5.py, gctf.py and gctffind.py: what CTF estimation brings to classic commands."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from appion.base.cli.job import Call, Command, Job
from appion.base.cli.program import findByCommand
from appion.base.cli.wiring import runStep
from appion.base.config import setting
from appion.base.records.program import Program
from appion.base.retrieve.session import Session
from appion.base.store.scratch import calcScratchRoot
from appion.ctfestimation.calc.external import calcCTF, checkProgram, listReservations
from appion.ctfestimation.calc.internal.encoding import decodeOptions, decodeResult
from appion.ctfestimation.calc.internal.numbers import calcNumbers
from appion.ctfestimation.cli.dryrun import constructLine
from appion.ctfestimation.cli.options import (
    CTFFIND,
    CTFFIND5,
    GCTF,
    GCTFFIND,
    constructCtffindParser,
    constructGctffindParser,
    constructGctfParser,
    constructOptions,
)
from appion.ctfestimation.cli.report import reportConfidences, reportResult
from appion.ctfestimation.cli.sampleoptions import selectSampleOptions
from appion.ctfestimation.records import CTFOptions
from appion.ctfestimation.retrieve.done import hasResults, retrieveDone
from appion.ctfestimation.retrieve.micrographs import readCs, readDDStackRun
from appion.ctfestimation.retrieve.params import ParamsContext, retrieveParams
from appion.ctfestimation.retrieve.ready import checkReady
from appion.ctfestimation.retrieve.selection import constructCTFSelection
from appion.ctfestimation.store.result import storeResult
from appion.ctfestimation.store.run import (
    WRITTEN,
    CTFRun,
    RunParams,
    checkTables,
    constructRunParams,
    findCTFRun,
    saveCTFRun,
)

#: The external program of each command.
KINDS = {CTFFIND: "ctffind", CTFFIND5: "ctffind", GCTF: "gctf", GCTFFIND: "gctffind"}

#: Programs that need a GPU.
GPU_KINDS = ("gctf", "gctffind")

#: What jobs of CTF estimation may be called: by the web pages, by classic's commands, by the page for repeating a run.
JOBTYPES = ("ctfestimate", "gctf", "ctffind4", "ctffind5", "gctffind")


@dataclass(frozen=True, kw_only=True)
class CTFJob(Job):
    """With the parameters of the run; `run_id` is the run's row if there is one already."""

    run_params: RunParams
    run_id: int | None


def mainCtffind(argv: Sequence[str] | None = None) -> int:
    """Run ctffind4.py or ctffind5.py; return its exit code as :func:`appion.base.cli.wiring.runStep` has it."""
    return runStep(CTFFIND_COMMAND, argv)


def mainGctf(argv: Sequence[str] | None = None) -> int:
    """Run gctf.py; the exit code as in :func:`mainCtffind`."""
    return runStep(GCTF_COMMAND, argv)


def mainGctffind(argv: Sequence[str] | None = None) -> int:
    """Run gctffind.py; the exit code as in :func:`mainCtffind`."""
    return runStep(GCTFFIND_COMMAND, argv)


def prepareJob(call: Call, options: CTFOptions, session: Session) -> CTFJob:
    """Find the lens, the program and the run.

    Raises:
        ConfigurationFailure, sinedon.errors.ConfigurationError: naming the thing, its value and the remedy.
    """
    args, kind = call.args, KINDS[call.name]
    cs = readCs(session.def_id, session.name)
    if options.ddstackid is not None:
        readDDStackRun(options.ddstackid)
    found = findByCommand(call.name)
    call.parser.messages.extend(found.messages)
    program = found.program
    checkProgram(program)
    options = adaptOptions(call, options, program)
    run_params = constructRunParams(options, cs, kind, setting("gctffind.own_table"))
    run_id = None
    if args.commit:
        for column in checkTables(run_params, options.tilt):
            remedy = "only appion explain tells the tilt of the sample; sinedon init makes it"
            call.parser.messages.append((logging.WARNING, f"there is no column {column}: {remedy}"))
        run_id = findCTFRun(session.def_id, args.runname, args.rundir, run_params)
    candidates, rejected, owners = constructCTFSelection(args, session)
    context = ParamsContext(
        rundir=args.rundir,
        scratch=str(calcScratchRoot(args.rundir)),
        options=options,
        program=program,
        cs=cs,
        timeout=setting("ctfestimation.timeout"),
        owners=owners,
    )
    return CTFJob(
        call=call, session=session, context=context, retrieveCandidates=candidates, retrieveRejected=rejected,
        gpus=tuple(setting("ctfestimation.gpus")) if kind in GPU_KINDS else (), run_params=run_params, run_id=run_id,
    )  # fmt: skip


def adaptOptions(call: Call, options: CTFOptions, program: Program) -> CTFOptions:
    """Return what of the options this program can do; what it cannot is logged, once."""
    messages = call.parser.messages
    options, said = selectSampleOptions(options, program, setting("ctffind.tilt"))
    messages.extend(said)
    if program.kind == "gctffind":
        reservations = listReservations(program, options.phase is not None, "astig" in call.parser.given)
        messages.extend((logging.WARNING, text) for text in reservations)
    return options


def listWritten(job: CTFJob) -> tuple[Any, ...]:
    return (job.run_params.model, *WRITTEN)


def saveRun(job: CTFJob, path_id: int) -> CTFRun:
    return saveCTFRun(job.session.def_id, job.args.runname, path_id, job.run_params)


def readDone(job: CTFJob, run_id: int | None) -> Set[int]:
    """Return what this run has stored. With ``--reprocess`` the selection leaves out what is good enough already."""
    if job.args.reprocess is not None or not getattr(job.args, "continue"):
        return set()
    return retrieveDone(run_id)


CTFFIND_COMMAND = Command(
    names=(f"{CTFFIND}.py", f"{CTFFIND5}.py"),
    step="ctfestimation",
    folder="ctf",
    jobtype="ctfestimate",  # that the web pages count
    other_jobtypes=JOBTYPES,
    constructParser=constructCtffindParser,
    constructOptions=constructOptions,
    prepareJob=prepareJob,
    listWritten=listWritten,
    hasResults=hasResults,
    findRun=lambda job: job.run_id,
    saveRun=saveRun,
    retrieveDone=readDone,
    retrieveParams=retrieveParams,
    checkReady=checkReady,
    calc=calcCTF,
    store=storeResult,
    decode=decodeResult,
    decodeOptions=decodeOptions,
    report=reportResult,
    measure=calcNumbers,
    reportRun=reportConfidences,
    constructLine=constructLine,
)

GCTF_COMMAND = replace(
    CTFFIND_COMMAND,
    names=(f"{GCTF}.py",),
    folder="gctf",
    jobtype="gctf",
    constructParser=constructGctfParser,
)

GCTFFIND_COMMAND = replace(
    CTFFIND_COMMAND,
    names=(f"{GCTFFIND}.py",),
    folder="gctffind",
    constructParser=constructGctffindParser,
)


if __name__ == "__main__":
    sys.exit(mainCtffind())
