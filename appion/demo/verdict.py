"""What a person needs in order to decide: truth against result, how fast it was, and how many workers it takes."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from appion.base.cli.screen import show
from appion.demo.outcome import Outcome
from appion.demo.pace import PHASES, describePace
from appion.demo.picture import savePicture
from appion.demo.plan import Plan
from appion.demo.report import readImageIds, readOutcomes
from appion.demo.table import formatTable
from appion.demo.watch import showProgress
from sinedon.models import leginondata

#: Exposures that are shown one by one; of more, the first ones and those with something amiss. All are in the file.
MANY = 40


def printVerdict(plan: Plan) -> bool:
    """Print and save (demo.txt, demo.png) what came of a rehearsal; return whether each exposure became what it had to.

    Raises:
        OSError, ValueError: a micrograph or a record of a daemon cannot be read.
    """

    def report(count: int) -> None:
        if sys.stdout.isatty():
            showProgress(f"comparing {count} of {len(plan.exposures)}", news=False)

    outcomes = [outcome for outcome in readOutcomes(plan, report=report) if outcome.image_id]
    showProgress("", news=False)
    arriving = readArriving(plan)
    pace = [*describePace("motion correction", plan.rundir, arriving), "",
            *describePace("CTF estimation", plan.ctf_rundir, arriving), "",
            *(f"{phase:<14}{what}" for phase, what in PHASES.items())]  # fmt: skip
    summary = describeOutcomes(plan, outcomes)
    (plan.folder / "demo.txt").write_text("\n".join([formatTable(outcomes), "", *summary, "", *pace]) + "\n")
    shown = chooseShown(outcomes)
    print(formatTable(shown))
    if len(shown) < len(outcomes):
        print(f"... {len(outcomes) - len(shown)} more, all well, in the file")
    show("", *summary, "", *pace, "")
    show(f"all of it     {plan.folder / 'demo.txt'}")
    printPicture(plan, outcomes)
    show(f"run folders   {plan.rundir}", f"              {plan.ctf_rundir}")
    return bool(outcomes) and not any(outcome.findProblems() for outcome in outcomes)


def chooseShown(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the exposures to show one by one."""
    if len(outcomes) <= MANY:
        return list(outcomes)
    return [one for i, one in enumerate(outcomes) if i < MANY // 2 or not one.is_stored or one.findProblems()]


def printPicture(plan: Plan, outcomes: Sequence[Outcome]) -> None:
    """Draw an exposure, if there is one with a fit whose files are those that can be drawn."""
    with_fit = [outcome for outcome in outcomes if outcome.is_stored and outcome.focus]
    if not with_fit:
        return
    best = max(with_fit, key=lambda outcome: outcome.planned.exposure.drift_total)
    path: Path = plan.folder / "demo.png"
    try:
        savePicture(path, plan, best)
    except (OSError, ValueError) as error:  # another program than CTFFIND leaves other files
        show(f"picture       none: {error}")
        return
    show(f"picture       {path}")


def describeOutcomes(plan: Plan, outcomes: Sequence[Outcome]) -> list[str]:
    """Return lines on all exposures: how many became what they had to, and how far from the truth at most."""
    stored = [outcome for outcome in outcomes if outcome.is_stored]
    amiss = sum(bool(outcome.findProblems()) for outcome in outcomes)
    focused = [outcome for outcome in stored if outcome.focus]
    lines = [f"{len(outcomes)} of {len(plan.exposures)} exposures taken, {len(stored)} corrected, {len(focused)} with "
             f"CTF, {amiss} with something amiss"]  # fmt: skip
    measures = (
        ("drift, RMS", "px", [outcome.drift_error for outcome in stored]),
        ("dose", "%", [100 * abs(o.dose / (o.planned.exposure.dose * o.planned.exposure.nframes) - 1) for o in stored]),
        ("defocus", "%", [100 * abs(o.focus.defocus1 / o.true_focus.defocus1 - 1) for o in focused if o.focus]),
    )
    for name, unit, errors in measures:
        finite = [error for error in errors if math.isfinite(error)]
        if finite:
            lines.append(f"  off by, {name:<11}: {sum(finite) / len(finite):.3f} {unit} on average, "
                         f"{max(finite):.3f} {unit} at most")  # fmt: skip
    return lines


def readArriving(plan: Plan) -> float:
    """Return how many exposures per hour came, by Leginon's rows; as planned where there are too few to tell."""
    ids = list(readImageIds(plan).values())
    rows = leginondata.AcquisitionImageData.objects.filter(def_id__in=ids).order_by("def_id")
    times = list(rows.values_list("def_timestamp", flat=True))
    span = (times[-1] - times[0]).total_seconds() if len(times) > 1 else 0.0
    if span > 0:
        return 3600 * (len(times) - 1) / span
    return 3600 / plan.seconds_between if plan.seconds_between else float("inf")
