"""Talking to a program on a terminal: every question is answered by its text, and all of it within a time limit."""

from __future__ import annotations

import contextlib
import pty
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO

import pexpect
from pexpect.fdpexpect import fdspawn

from appion.base.failures import ImageFailure
from appion.base.programs.blame import TAIL
from appion.base.programs.output import LIMIT, describeFlood, findFlood, shortenOutput
from appion.base.programs.run import Run, awaitEnd, blameKeeping, startProgram
from appion.base.store.files import createFile, writeAll
from appion.ctfestimation.calc.external.prompts import ANSI, Prompt, findPrompt

#: Seconds of silence after which a known question without a default, and an unknown question, count as asked.
SETTLE = 0.2
PATIENCE = 10.0

#: Longest time between two looks whether the program still runs.
LOOK = 0.5


@dataclass(frozen=True)
class Conversation:
    """How a program ended, and each of its questions with the answer it got."""

    run: Run
    answers: tuple[tuple[str, str], ...]


class Flood(Exception):
    """The program wrote too much, as the text says."""


@dataclass
class Record:
    """What is said, in a file: no more than a program may print; `folder` is where it works and writes as well."""

    file: IO[bytes]
    folder: Path
    taken: int = 0
    looked: float = 0.0

    def note(self, text: str) -> None:
        """Write it down. Raises Flood."""
        said = text.encode("utf-8")
        writeAll(self.file, said[: LIMIT - self.taken])
        self.taken += len(said)
        if self.taken > LIMIT:
            raise Flood(describeFlood())

    def look(self, now: float) -> None:
        """Now and then, see what the program writes elsewhere. Raises Flood."""
        if now - self.looked >= LOOK:
            self.looked = now
            if found := findFlood(self.folder):
                raise Flood(found)


def converse(
    command: Sequence[str],
    cwd: Path,
    output: Path,
    timeout: float,
    noteStart: Callable[[int], object],
    findAnswer: Callable[[str], str | None],
    environment: Mapping[str, str] | None = None,
) -> Conversation:
    """Run a program in `cwd` on a terminal of its own and answer its questions, for at most `timeout` seconds.

    Everything that it writes, and the answers, go to the file `output`. For the end of the program, also of one that
    writes without end, see :func:`appion.base.programs.run.runProgram`.

    Args:
        findAnswer: returns the answer to a question, or None if it does not know the question.
        environment: variables besides those of :func:`appion.base.programs.environment.constructEnvironment`.

    Raises:
        ImageFailure: the program asks something unknown, or the same twice because it does not accept the answer.
        ConfigurationFailure: the program is missing or cannot be executed.
        InfrastructureFailure: the host cannot start processes or keep what they print, or one cannot be killed.
    """
    started = time.monotonic()
    deadline = started + timeout
    answers: dict[str, str] = {}
    in_time, flood = True, ""
    with (
        blameKeeping(command, output),
        createFile(output) as file,
        _openTerminal() as (terminal, line),
        startProgram(command, cwd, line.fileno(), line.fileno(), noteStart, environment) as process,
    ):
        line.close()
        record = Record(file, cwd)
        child = fdspawn(terminal, encoding="utf-8", codec_errors="replace", timeout=None, use_poll=True)
        try:
            while True:
                text, prompt = _awaitQuestion(child, record, deadline, lambda: process.poll() is None, findAnswer)
                if prompt is None:
                    break
                answer = _checkAnswer(prompt, findAnswer(prompt), answers, text)
                answers[prompt] = answer
                record.note(answer + "\n")
                with contextlib.suppress(OSError):  # the program has ended: its exit code tells why
                    child.sendline(answer)
            in_time = awaitEnd(process, deadline - time.monotonic())
            record.look(time.monotonic() + LOOK)
        except Flood as found:
            flood = str(found)
    if flood:
        with blameKeeping(command, output):
            shortenOutput(output)
    return Conversation(Run(process.returncode, not in_time, time.monotonic() - started, flood), tuple(answers.items()))


@contextlib.contextmanager
def _openTerminal() -> Iterator[tuple[FileIO, FileIO]]:
    """Yield both ends of a new terminal, ours and the program's, that neither echoes nor changes line ends."""
    ours, theirs = pty.openpty()
    with FileIO(ours, "r+") as terminal, FileIO(theirs, "r+") as line:
        mode = termios.tcgetattr(line)
        mode[1] &= ~termios.OPOST
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(line, termios.TCSANOW, mode)
        yield terminal, line


def _awaitQuestion(
    child: fdspawn,
    record: Record,
    deadline: float,
    isRunning: Callable[[], bool],
    findAnswer: Callable[[str], str | None],
) -> tuple[str, str | None]:
    """Read until the program waits for an answer; return what it wrote, and the question, or None at its end.

    The end is the end of its output, its own, or the deadline. Raises Flood: it wrote too much.
    """
    text, heard = "", time.monotonic()
    while True:
        prompt = findPrompt(text)
        known = prompt is not None and findAnswer(prompt.text) is not None
        now = time.monotonic()
        record.look(now)
        if prompt is not None and now - heard >= _calcPatience(prompt, known):
            return text, prompt.text
        if now >= deadline:
            return text, None
        wait = min(LOOK, deadline - now, *([heard + _calcPatience(prompt, known) - now] if prompt else []))
        running = isRunning()
        try:
            piece = child.read_nonblocking(65536, timeout=max(0.0, wait))
        except pexpect.EOF:
            return text, None
        except pexpect.TIMEOUT:
            if not running:
                return text, None
            continue
        record.note(piece)
        text, heard = (text + piece)[-TAIL:], time.monotonic()


def _calcPatience(prompt: Prompt, known: bool) -> float:
    """Return after how many seconds of silence a question counts as asked."""
    if not known:
        return PATIENCE
    return 0.0 if prompt.certain else SETTLE


def _checkAnswer(prompt: str, answer: str | None, given: dict[str, str], text: str) -> str:
    said = " ".join(ANSI.sub("", text).split()).rpartition(prompt)[0].strip()
    if answer is None:
        raise ImageFailure(
            f"the program asks something unknown: {prompt[:200]!r}", "use a version of CTFFIND that does not ask it",
            log_tail=text[-TAIL:],
        )  # fmt: skip
    if prompt in given:
        raise ImageFailure(
            f"the program does not accept {answer!r} as the answer to {prompt!r}: {said[:300]}".rstrip(": "),
            "correct the option or the value that this answer is made of", log_tail=text[-TAIL:],
        )  # fmt: skip
    return answer
