"""`appion ingest --check`: what would be matched and how, and what the first exposures say about signs and units."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from appion.base.cli.command import prepareRun, runCommand
from appion.base.cli.ingest import BOTH, COMMAND, CTF, MOTION, RECORDED, Source, constructIngestParser
from appion.base.cli.job import Call, Command
from appion.base.cli.screen import show
from appion.base.config import checkSettings, setting
from appion.base.failures import Failure, classifyException
from appion.base.records.cryosparc import CryosparcFit
from appion.base.retrieve.cryosparc.index import findUnclaimed

#: Exposures that are tried.
TRIED = 10

#: Lines of a list that are shown.
SHOWN = 10

#: What fits gain or lose in correlation, on the average of the tried exposures, if the sign of their angle tells.
GAIN = 0.02


#: Makes the command that takes one kind of results from a folder.
Construct = Callable[[str, Source], Command[Any, Any]]


def checkIngest(constructCommand: Construct, args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Say what an ingest would do; nothing is stored. The exit code: 0 all is well, 1 something is to be looked at, 2 a
    person has to mend something.
    """
    kinds = (MOTION, CTF) if args.what == BOTH else (args.what,)
    return runCommand(lambda: max(checkWhat(constructCommand, args, argv, what) for what in kinds))


def checkWhat(constructCommand: Construct, args: argparse.Namespace, argv: Sequence[str], what: str) -> int:
    """Check what is taken of one kind; 1 if something is to be looked at."""
    source = Source()
    command = constructCommand(what, source)
    checkSettings()
    args = argparse.Namespace(**vars(args))
    args.commit = False
    if what == CTF and args.what == BOTH and args.preset:
        args.preset = None if args.mrcnames else f"{args.preset}-{args.alignlabel}-DW"
    parser = constructIngestParser()
    options = command.constructOptions(args, parser)
    session = prepareRun(args, command.folder)
    with tempfile.TemporaryDirectory(prefix="appion-check-") as folder:
        args.rundir = folder
        job = command.prepareJob(Call(RECORDED, parser, args, argv), options, session)
        show(f"{COMMAND} --check, {what}:")
        return checkJob(command, job, source, what, folder)


def checkJob(command: Command[Any, Any], job: Any, source: Source, what: str, folder: str) -> int:
    """Match all images and try the first ones in a folder of their own; 1 if something is to be looked at."""
    ids = [candidate.image_id for candidate in job.retrieveCandidates(0)]
    rules: Counter[str] = Counter()
    refused: list[str] = []
    ready = []
    for image_id, task in command.retrieveParams(ids, job.context).items():
        if isinstance(task, Failure):
            refused.append(f"image {image_id}: {task}")
            continue
        try:
            rules[str(command.constructLine(task, job)["rule"])] += 1
            command.checkReady(task, setting(f"{command.step}.settle"))
            ready.append(task)
        except Failure as failure:
            refused.append(f"{task.origin.filename}: {failure}")
    index = source.index
    unclaimed = [f"exposure {one.uid} {one.movie.name or one.micrograph.name}: {why}"
                 for one, why in findUnclaimed(index, index.images)]  # fmt: skip
    told = ", ".join(f"{count} by {rule}" for rule, count in sorted(rules.items())) or "none"
    show(f"  {len(index.content.exposures)} exposures in {index.folder}, {len(ids)} images; matched: {told}")
    for title, lines in (("images that cannot be taken now", refused), ("exposures that are no image", unclaimed)):
        show(*([f"  {len(lines)} {title}:"] if lines else []), *(f"    {line}" for line in lines[:SHOWN]),
             *([f"    … and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []))  # fmt: skip
    tried = {MOTION: tryMotion, CTF: tryFits}[what](command, ready[:TRIED], folder)
    return 1 if refused or unclaimed or tried or not ready else 0


def tryEach(
    command: Command[Any, Any], tasks: Sequence[Any], adapt: Callable[[Any], Any], tell: Callable[[Any], list[str]]
) -> int:
    """Compute each task and say what is found; 1 if there is trouble or a warning."""
    found = 0
    for task in tasks:
        try:
            result = command.calc(adapt(command.constructPreparation()(task).params))
        except Exception as error:
            show(f"    {task.origin.filename}: {classifyException(error)}")
            found = 1
            continue
        show(f"    {task.origin.filename}: {'; '.join([*tell(result), *result.warnings])}")
        found = found or int(bool(result.warnings))
    return found


def tryMotion(command: Command[Any, Any], tasks: Sequence[Any], folder: str) -> int:
    """Try how sums lie to Leginon's pictures, and the unit of trajectories."""
    def adapt(params: Any) -> Any:
        files = replace(params.files, **{name: f"{folder}/{Path(path).name}" if path else "" for name, path in vars(
            params.files).items()})  # fmt: skip
        return replace(params, files=replace(files, thumbnail="", drift_plot=""), scratch=f"{folder}/scratch")

    def tell(result: Any) -> list[str]:
        told = "as expected" if result.orientation == 0 else "cannot be told"
        distance = result.params.cryosparc.distance
        unit = "no length of the path to compare with" if distance is None else f"path of {distance:.4g} pixels"
        return [f"orientation {told}", unit, f"{result.shape[1]} x {result.shape[0]} pixels"]

    show(f"  the first {len(tasks)}:")
    return tryEach(command, tasks, adapt, tell)


def tryFits(command: Command[Any, Any], tasks: Sequence[Any], folder: str) -> int:
    """Try fits, and whether the axis of astigmatism or its mirror image fits better: nothing published tells."""
    gains: list[float] = []

    def adapt(params: Any) -> Any:
        return replace(params, folder="", scratch=f"{folder}/scratch")

    def tell(result: Any) -> list[str]:
        found: CryosparcFit = result.params.cryosparc
        mirrored = command.calc(replace(result.params, cryosparc=replace(found, angle=-found.angle)))
        if result.analysis is None or mirrored.analysis is None:
            return ["no confidence"]
        here, there = (one.analysis.confidence_30_10 + one.analysis.confidence_5_peak for one in (result, mirrored))
        if not math.isclose(here, there, abs_tol=1e-6):
            gains.append(there - here)
        return [f"confidence {result.confidence:.2f}, axis {result.angle_astigmatism:.0f}°"]

    show(f"  the first {len(tasks)}:")
    trouble = tryEach(command, tasks, adapt, tell)
    gain = sum(gains) / len(gains) if gains else 0.0
    verdict = "cannot be told from these: take some with more astigmatism"
    if abs(gain) > GAIN:
        verdict = "MIRRORED fits better: do not store before that is understood" if gain > 0 else "fits as it is"
    show(f"  axis of astigmatism: {verdict} (mirrored gains {gain:+.3f} in correlation, {len(gains)} exposures)")
    return max(trouble, int(gain > GAIN))
