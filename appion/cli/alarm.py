"""`appion alarm`: judge the alarms of runs from outside, or try who would be told."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.calc.alarmmessage import constructMessage
from appion.base.calc.alarms import judgeRule
from appion.base.cli.screen import show
from appion.base.cli.suggest import suggestNearest
from appion.base.config import checkSettings, setting
from appion.base.controller.alarms import MARGIN, Look, describeRunOf, takeLook
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.programs.tell import tellReceiver
from appion.base.records.alarm import TRIAL, Alarms, Rule, State
from appion.base.retrieve.alarms import Follower, collectFacts, readAlarms
from appion.base.retrieve.memory import readMemory
from appion.base.retrieve.status import formatSince, judgeRun


def watchRuns(words: Sequence[str], trial: bool) -> int:
    """Judge the alarms of these run folders, or with `trial` tell a message of a rule, named first, or of each rule.

    Returns:
        0: all is well; 1: there is an alarm, or somebody could not be told; 2: a run cannot be judged.
    """
    checkSettings()
    alarms = readAlarms()
    if not alarms.rules:
        raise ConfigurationFailure("appion.alarms.rules has no rule", "add one, for example {name: far, number: drift,"
                                   " above: 30}, to appion.yaml")  # fmt: skip
    if trial:
        return tryReceivers(alarms, *chooseRules(alarms.rules, words))
    return max(watchRun(alarms, Path(word)) for word in words)


def watchRun(alarms: Alarms, rundir: Path) -> int:
    """Judge and tell the alarms of one run, and print which there are; the exit code as in :func:`watchRuns`."""
    rundir = rundir.absolute()
    try:
        condition = judgeRun(rundir)
        follower = Follower(rundir, alarms.rules)
        patience, news = setting("alarms.timeout") + MARGIN, list[Mapping[str, Any]]()
        look = takeLook(rundir, alarms, condition.status, condition.running, follower, news.append, patience)
    except (Failure, OSError) as error:
        show(f"appion alarm: {rundir}: {error}", file=sys.stderr)
        return 2
    if look is None:
        show(f"appion alarm: {rundir}: somebody else tells its alarms, and has not ended for {patience:g} s",
             file=sys.stderr)  # fmt: skip
        return 2
    return showLook(alarms, rundir, look, news)


def showLook(alarms: Alarms, rundir: Path, look: Look, news: Sequence[Mapping[str, Any]]) -> int:
    """Print what each rule finds, what is new, and who could not be told; the exit code as in :func:`watchRuns`."""
    active = 0
    show(str(rundir))
    for rule in alarms.rules:
        state, reading = look.memory.states[rule.name], look.readings[rule.name]
        active += state.active
        text = "not known, or of too few exposures" if reading is None else reading.text
        level = "ALARM" if state.active else "well " if reading else "?    "
        show(f"  {level} {rule.name}{formatSince(state.since) if state.active else ''}: {text}")
    for message in news:
        show(f"  new: {message['title']}: {message['text']}")
    for name, why in look.refused:
        show(f"appion alarm: {rundir}: {name} could not be told, it is tried again: {why}", file=sys.stderr)
    return 1 if active or look.refused else 0


def chooseRules(rules: Sequence[Rule], words: Sequence[str]) -> tuple[Sequence[Rule], Path]:
    """Return the rules that are meant, and the run folder, by the words after --test.

    Raises:
        ConfigurationFailure: there is no such rule.
    """
    *names, rundir = words
    if len(names) > 1:
        raise ConfigurationFailure(f"--test is given {len(words)} words", "give it one rule, or none, and a run folder")
    chosen = [rule for rule in rules if rule.name in names] if names else list(rules)
    if not chosen:
        known = [rule.name for rule in rules]
        hint = suggestNearest(names[0], known).removeprefix("; ") or f"there are {', '.join(known)}"
        raise ConfigurationFailure(f"appion.alarms.rules has no rule {names[0]!r}", hint)
    return chosen, Path(rundir).absolute()


def tryReceivers(alarms: Alarms, rules: Sequence[Rule], rundir: Path) -> int:
    """Tell all receivers what each rule finds at this moment, marked as a trial, and print how that went.

    Nothing is kept of it. The exit code is 1 if somebody could not be told.

    Raises:
        ConfigurationFailure: nothing ran in that folder, or there is nobody to be told.
    """
    condition = judgeRun(rundir)
    if not alarms.receivers:
        raise ConfigurationFailure("appion.alarms.receivers has no receiver", "add one, as {command: [PROGRAM]}")
    facts = collectFacts(rundir, condition.status, condition.running, Follower(rundir, rules))
    memory, about, failed = readMemory(rundir), describeRunOf(rundir, condition.status), 0
    for rule in rules:
        _, reading = judgeRule(rule, facts, memory.states.get(rule.name, State()), alarms.settle)
        message = constructMessage(rule, TRIAL, reading, about, alarms.address, facts.now, facts.now)
        show(f"{rule.name}: {message['text']}")
        for receiver in alarms.receivers:
            started = time.monotonic()
            why = tellReceiver(receiver, message, setting("alarms.timeout"))
            failed += bool(why)
            took = f"after {time.monotonic() - started:.1f} s"
            show(f"  {receiver.name}: not told, {took}: {why}" if why else f"  {receiver.name}: told, {took}")
    return 1 if failed else 0
