"""How many workers a microscope needs."""

from __future__ import annotations

import math
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.status import readStatus

#: Share of the time that workers may be busy: above it a burst of exposures is not caught up with for long.
LOAD = 0.8


def calcWorkersNeeded(rate: float, seconds: float) -> int:
    """Return the number of workers for `rate` exposures per hour of `seconds` each, busy for LOAD of the time.

    Raises:
        ConfigurationFailure: a number that is not above zero.
    """
    for name, value in (("--rate", rate), ("--seconds", seconds)):
        if not 0 < value < math.inf:
            raise ConfigurationFailure(f"{name}={value:g} is not a number above zero")
    return math.ceil(rate * seconds / 3600 / LOAD)


def describeSize(rate: float | None, seconds: float | None, rundir: Path | None) -> list[str]:
    """Return lines that say how many workers are needed; what is not given is taken from the run in `rundir`.

    Args:
        rate: exposures per hour.
        seconds: of one worker for one exposure.

    Raises:
        ConfigurationFailure: neither given nor measured.
    """
    status = readStatus(rundir) if rundir is not None and None in (rate, seconds) else {}
    if rate is None:
        rate = _takeMeasured(status.get("arriving_per_hour"), "exposures per hour", "--rate=N", rundir)
    if seconds is None:
        seconds = _takeMeasured(status.get("seconds_per_exposure"), "seconds per exposure", "--seconds=S", rundir)
    needed = calcWorkersNeeded(rate, seconds)
    busy = rate * seconds / 3600
    lines = [
        f"{needed} worker{'s' * (needed > 1)} for {rate:g} exposures per hour of {seconds:.3g} s each: "
        f"{busy:.2g} busy on average, {100 * busy / needed:.0f} % of the time (at most {100 * LOAD:.0f} %)"
    ]
    planned = (status.get("workers") or {}).get("planned")
    if planned:
        lines.append(f"the run has {planned}: {'enough' if planned >= needed else 'too few'}")
    return lines


def _takeMeasured(value: float | None, what: str, option: str, rundir: Path | None) -> float:
    """Return what a run has measured.

    Raises:
        ConfigurationFailure: it has not.
    """
    if value:
        return value
    where = f"{rundir} has not measured the {what} yet" if rundir else f"the {what} are not known"
    raise ConfigurationFailure(where, f"give {option}, or --rundir of a run that goes on")
