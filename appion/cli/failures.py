"""`appion failures` and `appion retry`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appion.base.calc.pace import calcReasonGroup
from appion.base.calc.plain import formatJson, makePlainLines
from appion.base.cli.screen import show
from appion.base.controller.retry import forgetFailures
from appion.base.failures import ConfigurationFailure
from appion.base.records.attempt import Attempt, encodeAttempt
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.status import readStatus
from appion.base.retrieve.story import formatClock

#: Lines of a program's output that are shown, and images named in one group.
TAIL, NAMED = 6, 8


def showFailures(rundir: Path, as_json: bool) -> int:
    """Print what failed, the most frequent reason first, then what waits because its input is not ready."""
    waiting = readStatus(rundir)["waiting_for"]
    attempts = readAttempts(rundir)
    groups: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts.values():
        groups.setdefault((attempt.kind, calcReasonGroup(attempt.reason, attempt.filename)), []).append(attempt)
    ordered = sorted(groups.values(), key=len, reverse=True)
    if as_json:
        failed = [[encodeAttempt(attempt) for attempt in group] for group in ordered]
        print(formatJson({"failed": failed, "waiting": waiting}, indent=1))
        return 0
    parts = [*map(describeGroup, ordered), *map(describeWaiting, waiting)] or [["Nothing failed."]]
    if ordered:
        again, all_of_it = f"appion retry {rundir} [IMAGE ...]", f"appion explain {rundir} IMAGE"
        parts.append([f"Try again: {again}    All of one image: {all_of_it}"])
    for number, part in enumerate(parts):
        show(*([""] if number else []), *part)
    return 0


def describeGroup(group: Sequence[Attempt]) -> list[str]:
    """One reason: how many, which, what became of them, and the latest in detail."""
    last = max(group, key=lambda attempt: attempt.last)
    aside = sum(attempt.next_try is None for attempt in group)
    names = [f"{attempt.filename} ({attempt.image_id})" for attempt in group[:NAMED]]
    lines = [f"{len(group)} x {last.reason}  [{last.kind}]"]
    if last.remedy:
        lines.append(f"    -> {last.remedy}")
    lines.append(f"    images: {', '.join(names)}{f' and {len(group) - NAMED} more' if len(group) > NAMED else ''}")
    again = [attempt.next_try for attempt in group if attempt.next_try is not None]
    fate = [f"{aside} set aside"] if aside else []
    fate += [f"{len(again)} tried again, next at {formatClock(min(again))}"] if again else []
    lines.append(f"    {', '.join(fate)}")
    where = f" on {last.host}" if last.host else ""
    lines.append(f"    last: {last.filename}{where} at {formatClock(last.last)}, failures: {countFailures(last)}")
    if last.command:
        lines.append(f"    command: {last.command}")
    return lines + [f"    | {line}" for line in makePlainLines(last.log_tail.rstrip())[-TAIL:]]


def describeWaiting(group: dict[str, Any]) -> list[str]:
    """One reason for which exposures are not ready: how many, and which."""
    names = [f"{name} ({image_id})" for image_id, name in group["images"]]
    more = group["count"] - len(names)
    return [
        f"{group['count']} x not ready, waits and costs no attempt: {group['reason']}",
        f"    images: {', '.join(names)}{f' and {more} more' if more > 0 else ''}",
    ]


def countFailures(attempt: Attempt) -> str:
    """Its own failures and, where there were any, the workers it lost."""
    return f"{attempt.count}" + (f", workers lost: {attempt.infrastructure}" if attempt.infrastructure else "")


def retryImages(rundir: Path, images: Sequence[str]) -> int:
    """Forget failures: through the daemon if one runs, else in the run folder.

    Raises:
        ConfigurationFailure: an image that did not fail is named.
    """
    readStatus(rundir)
    ids = findIds(readAttempts(rundir), images) if images else None
    number, host = forgetFailures(rundir, ids)
    if host:
        show(f"Asked the daemon on {host} to try {number} again.")
    else:
        print(f"{number} are tried again when the daemon is started.")
    return 0


def findIds(attempts: dict[int, Attempt], images: Sequence[str]) -> set[int]:
    """The ids of failed images given by id or name."""
    names = {attempt.filename: image_id for image_id, attempt in attempts.items()}
    ids = set()
    for image in images:
        image_id = names.get(image.removesuffix(".mrc"), int(image) if image.isdecimal() else -1)
        if image_id not in attempts:
            raise ConfigurationFailure(f"{image} is not among the failures", "`appion failures` lists them")
        ids.add(image_id)
    return ids
