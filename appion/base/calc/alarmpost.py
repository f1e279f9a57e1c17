"""Which letter is due for whom, and what is remembered when one is told, or could not be."""

from __future__ import annotations

from dataclasses import replace

from appion.base.records.alarm import Letter, Memory, Refusal

#: First and longest time after which a receiver that could not be told is tried again (seconds); it doubles in between.
FIRST, LONGEST = 60.0, 3600.0

#: Seconds after which a letter is given up, and how many are kept at most.
TOO_OLD, MANY = 86400.0, 200


def findLetter(memory: Memory, receiver: str, now: float) -> Letter | None:
    """Return the first letter that a receiver is to be told; None if there is none, or if it is too early for it."""
    refusal = memory.refusals.get(receiver)
    if refusal is not None and now < refusal.next_try <= now + LONGEST:
        return None
    return next((letter for letter in memory.letters if receiver in letter.waiting), None)


def markTold(memory: Memory, receiver: str, letter: Letter) -> Memory:
    """Return what is remembered after a receiver was told a letter."""
    letters = [strike(one, {receiver}) if one.message == letter.message else one for one in memory.letters]
    refusals = {name: refusal for name, refusal in memory.refusals.items() if name != receiver}
    return replace(memory, letters=tuple(one for one in letters if one.waiting), refusals=refusals)


def markRefused(memory: Memory, receiver: str, why: str, now: float) -> Memory:
    """Return what is remembered after a receiver could not be told."""
    refusal = memory.refusals.get(receiver)
    tried = 1 if refusal is None else refusal.tried + 1
    next_try = now + min(LONGEST, FIRST * 2 ** min(tried - 1, 20))
    return replace(memory, refusals={**memory.refusals, receiver: Refusal(tried, next_try, why)})


def giveUp(memory: Memory, now: float) -> tuple[Memory, list[Letter]]:
    """Return what is remembered without letters that are too old or too many; and these."""
    kept = [letter for letter in memory.letters[-MANY:] if now - letter.message.get("time", now) < TOO_OLD]
    due = {name for letter in kept for name in letter.waiting}
    refusals = {name: refusal for name, refusal in memory.refusals.items() if name in due}
    return replace(memory, letters=tuple(kept), refusals=refusals), [one for one in memory.letters if one not in kept]


def strike(letter: Letter, names: set[str]) -> Letter:
    """Return a letter that these are not to be told any more."""
    return replace(letter, waiting=tuple(name for name in letter.waiting if name not in names))
