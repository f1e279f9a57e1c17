"""What a step brings to make classic commands of it, and what one call of a command works on."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from appion.base.cli.options import Parser
from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.records.task import Computed, Task
from appion.base.retrieve.paths import expandVariables
from appion.base.retrieve.session import Session
from appion.base.step import Candidate


class SavedRun(Protocol):
    """The row of a run, which results are stored for."""

    @property
    def def_id(self) -> int: ...


@dataclass(frozen=True)
class Call:
    """One call of a command.

    Attributes:
        name: by which the user called it, without folder and ``.py``; runs, scripts and options are recorded under it.
        parser, args, argv: the options, and the words in which they were given.
    """

    name: str
    parser: Parser
    args: argparse.Namespace
    argv: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one call of a command works on, everything being checked. A step may add to it.

    Attributes:
        context: what the parameters of an image need beyond its rows; with `rundir`, `options` and the `program`, which
            has a `kind`, a `version` and a `path`.
        retrieveCandidates, retrieveRejected: see :class:`appion.base.step.Step`.
        gpus: GPUs to hand out; none where the program needs none.
        scratch: folder of the scratch folders if it is not the one in the run folder.
    """

    call: Call
    session: Session
    context: Any
    retrieveCandidates: Callable[[int], Iterable[Candidate]]
    retrieveRejected: Callable[[], Set[int]]
    gpus: tuple[int, ...] = ()
    scratch: Path | None = None

    @property
    def args(self) -> argparse.Namespace:
        return self.call.args


J = TypeVar("J", bound=Job)
R = TypeVar("R", bound=SavedRun)


@dataclass(frozen=True, kw_only=True)
class Command(Generic[J, R]):
    """A classic command: everything in which one differs from the others.

    Attributes:
        names: by which users call it; the first one counts where it is called by none of them. A run that was begun by
            one name goes on by any of them.
        step: of :class:`appion.base.step.Step`. section: of the settings `settle` and `timeout`; empty: as the step.
        timed: whether `calc` gives up after `timeout`; else there is no such setting.
        folder: of the session's folder in which run folders are by default; folders: other ones of some names.
        jobtype: of job rows that are made; other_jobtypes: what jobs of this command may be called as well.
        indifferent: names of options that make no difference to a result.

        constructParser: makes the parser, given the name that it was called by.
        constructOptions: makes the record of the options; raises ConfigurationFailure.
        prepareJob: checks everything that can be wrong before anything is written, session and project being known.
        listWritten: the tables that results are stored in, given what the call works on.
        hasResults: whether anything is stored of runs of this name in this folder.
        findRun: the id of the run's row if there is one. saveRun: that row, found or made; given the path's row.
        retrieveDone: what is not to be done again, given the id of the run's row or None.

        retrieveParams: the tasks of images, given the context; see :class:`appion.base.step.Step`.
        checkReady: raises NotReady while the image's file is not there, given the seconds that a file has to rest.
        checkReferences: the same for what else has to be there; a dry run does not ask.
        constructPreparation: makes the last thing that is done before submission.
        calc: makes the result of a task's parameters, on a worker; around it,
            :func:`appion.base.workers.task.computeTask` writes the journal.
        store, decode, report, measure: see :class:`appion.base.step.Step`; `store` is given the run's row.
        decodeOptions: the options that a journal record was asked for with.
        reads: the path of the file that a task reads most of; empty: none is worth reading ahead.
        listWarnings: what is to be said before a run begins, given the call, beside what is wrong with its options.
        listSources: the folders of a session that tasks read from, whether they are there or not.
        reportRun: what is to be said at the end of a run that stores.
        constructLine: what a dry run prints of an image, beside its id.
    """

    names: tuple[str, ...]
    step: str
    folder: str
    jobtype: str
    other_jobtypes: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    indifferent: Collection[str] = ()
    section: str = ""
    timed: bool = True

    constructParser: Callable[[str], Parser]
    constructOptions: Callable[[argparse.Namespace, Parser], Any]
    prepareJob: Callable[[Call, Any, Session], J]
    listWritten: Callable[[J], Sequence[Any]] = lambda _job: ()
    hasResults: Callable[[str, str], bool]
    findRun: Callable[[J], int | None]
    saveRun: Callable[[J, int], R]
    retrieveDone: Callable[[J, int | None], Set[int]]

    retrieveParams: Callable[[Sequence[int], Any], dict[int, Task[Any, Any] | Failure]]
    checkReady: Callable[[Task[Any, Any], float], None]
    checkReferences: Callable[[Task[Any, Any]], None] = lambda _task: None
    constructPreparation: Callable[[], Callable[[Any], Any]] = lambda: lambda task: task
    calc: Callable[[Any], Any]
    store: Callable[[Computed[Any, Any], R], Sequence[str]]
    decode: Callable[[dict[str, Any]], Computed[Any, Any]]
    decodeOptions: Callable[[dict[str, Any]], Any]
    report: Callable[[Any], str] = lambda _result: ""
    measure: Callable[[Any], Mapping[str, Any]] = lambda _result: {}
    reads: Callable[[Any], str] = lambda _task: ""
    listWarnings: Callable[[J], Sequence[str]] = lambda _job: ()
    listSources: Callable[[Session], Sequence[str]] = lambda session: (expandVariables(session.image_path),)
    reportRun: Callable[[R], None] = lambda _run: None
    constructLine: Callable[[Task[Any, Any], J], Mapping[str, object]]

    def readSetting(self, name: str) -> Any:
        """Return a setting of the step's section."""
        return setting(f"{self.section or self.step}.{name}")

    @property
    def programs(self) -> tuple[str, ...]:
        """The names under which a run of this command may be recorded."""
        return tuple(name.removesuffix(".py") for name in self.names)
