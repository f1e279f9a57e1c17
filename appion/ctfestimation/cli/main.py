"""ctffind4.py and gctf.py: what CTF estimation brings to classic commands."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from appion.base.cli.job import Call, Command, Job
from appion.base.cli.program import findByCommand
from appion.base.cli.wiring import runStep
from appion.base.config import setting
from appion.base.retrieve.session import Session
from appion.base.store.scratch import calcScratchRoot
from appion.ctfestimation.calc.external import calcCTF, checkProgram
from appion.ctfestimation.calc.internal.encoding import decodeOptions, decodeResult
from appion.ctfestimation.cli.dryrun import constructLine
from appion.ctfestimation.cli.options import (
    CTFFIND,
    GCTF,
    constructCtffindParser,
    constructGctfParser,
    constructOptions,
)
from appion.ctfestimation.cli.report import reportConfidences, reportResult
from appion.ctfestimation.records import CTFOptions
from appion.ctfestimation.retrieve.done import hasResults, retrieveDone
from appion.ctfestimation.retrieve.micrographs import readCs, readDDStackRun
from appion.ctfestimation.retrieve.params import ParamsContext, retrieveParams
from appion.ctfestimation.retrieve.ready import checkReady
from appion.ctfestimation.retrieve.selection import constructCTFSelection
from appion.ctfestimation.store.result import storeResult
from appion.ctfestimation.store.run import CTFRun, checkTables, constructRunParams, findCTFRun, saveCTFRun

#: The external program of each command, by the name under which the command is recorded.
KINDS = {CTFFIND: "ctffind", GCTF: "gctf"}

#: What jobs of CTF estimation may be called: by the web pages, by classic's commands, by the page for repeating a run.
JOBTYPES = ("ctfestimate", "gctf", "ctffind4", "ctffind5", "gctffind")


@dataclass(frozen=True, kw_only=True)
class CTFJob(Job):
    """With the parameters of the run; `run_id` is the run's row if there is one already."""

    run_params: Mapping[str, Any]
    run_id: int | None


def mainCtffind(argv: Sequence[str] | None = None) -> int:
    """Run ctffind4.py; return its exit code: 0 done or stopped, 1 broken off, 2 something a person has to mend."""
    return runStep(CTFFIND_COMMAND, argv)


def mainGctf(argv: Sequence[str] | None = None) -> int:
    """Run gctf.py; the exit code as in :func:`mainCtffind`."""
    return runStep(GCTF_COMMAND, argv)


def prepareJob(call: Call, options: CTFOptions, session: Session) -> CTFJob:
    """Find the lens, the program and the run.

    Raises:
        ConfigurationFailure, sinedon.errors.ConfigurationError: naming the thing, its value and the remedy.
    """
    args, kind = call.args, KINDS[call.program]
    cs = readCs(session.def_id, session.name)
    if options.ddstackid is not None:
        readDDStackRun(options.ddstackid)
    run_params = constructRunParams(options, cs, kind == "gctf")
    run_id = None
    if args.commit:
        checkTables()
        run_id = findCTFRun(session.def_id, args.runname, args.rundir, run_params)
    found = findByCommand(call.name)
    call.parser.messages.extend(found.messages)
    checkProgram(found.program)
    candidates, rejected, owners = constructCTFSelection(args, session)
    context = ParamsContext(
        rundir=args.rundir,
        scratch=str(calcScratchRoot(args.rundir)),
        options=options,
        program=found.program,
        cs=cs,
        timeout=setting("ctfestimation.timeout"),
        owners=owners,
    )
    return CTFJob(
        call=call, session=session, context=context, retrieveCandidates=candidates, retrieveRejected=rejected,
        gpus=tuple(setting("ctfestimation.gpus")) if context.is_gctf else (), run_params=run_params, run_id=run_id,
    )  # fmt: skip


def saveRun(job: CTFJob, path_id: int) -> CTFRun:
    return saveCTFRun(job.session.def_id, job.args.runname, path_id, job.run_params)


def readDone(job: CTFJob, run_id: int | None) -> set[int]:
    """Return what this run has stored. With ``--reprocess`` the selection leaves out what is good enough already."""
    if job.args.reprocess is not None or not getattr(job.args, "continue"):
        return set()
    return retrieveDone(run_id)


CTFFIND_COMMAND = Command(
    names=(f"{CTFFIND}.py",),
    program=CTFFIND,
    step="ctfestimation",
    folder="ctf",
    jobtype="ctfestimate",  # that the web pages count
    other_jobtypes=JOBTYPES,
    constructParser=constructCtffindParser,
    constructOptions=constructOptions,
    prepareJob=prepareJob,
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
    reportRun=reportConfidences,
    constructLine=constructLine,
)

GCTF_COMMAND = replace(
    CTFFIND_COMMAND,
    names=(f"{GCTF}.py",),
    program=GCTF,
    folder="gctf",
    jobtype="gctf",
    other_jobtypes=JOBTYPES,
    constructParser=constructGctfParser,
)


if __name__ == "__main__":
    sys.exit(mainCtffind())
