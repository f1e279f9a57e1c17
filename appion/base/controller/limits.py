"""The settings that the states of exposures depend on."""

from __future__ import annotations

from dataclasses import dataclass

from appion.base.config import setting


@dataclass(frozen=True)
class Limits:
    """The settings that the states depend on (see appion.yaml)."""

    attempts: int = 3
    backoff: float = 30.0
    backoff_max: float = 1800.0
    infrastructure_attempts: int = 10
    pause: float = 5.0
    pause_max: float = 300.0
    recheck: float = 1.0
    recheck_max: float = 30.0
    patient: bool = True  # an exposure whose worker is lost again and again may wait for better times


def readLimits(patient: bool) -> Limits:
    """The settings that the states depend on. A run that does not wait looks several times before it gives up."""
    patience = float("inf") if patient else setting("nowait_patience") / 4
    return Limits(
        attempts=int(setting("attempts")),
        backoff=setting("backoff"),
        backoff_max=setting("backoff_max"),
        infrastructure_attempts=int(setting("infrastructure_attempts")),
        pause=setting("pause"),
        pause_max=setting("pause_max"),
        recheck=setting("recheck"),
        recheck_max=min(setting("recheck_max"), patience),
        patient=patient,
    )
