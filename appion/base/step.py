"""What a processing step (motion correction, CTF estimation) hands to the loop: a few functions and its names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appion.base.failures import Failure


@dataclass(frozen=True)
class Candidate:
    """An image that the step may process, as the selection query found it.

    Attributes:
        image_id: `AcquisitionImageData.DEF_id`.
        filename: the image's name without directory and extension.
    """

    image_id: int
    filename: str


@dataclass(frozen=True)
class Step:
    """The functions of one step. All but `calc` run in the daemon; none keeps state between exposures.

    Attributes:
        name: short name used in events and status, e.g. ``motioncorrection``.
        retrieveCandidates: images with an id above the given one (0: all of them), best in ascending order; tilt, id
            range, preset and `save frames` are applied, rejects and what is done are not. All are read when it returns.
        retrieveRejected: ids that are rejected at this moment (hidden, trashed, assessed bad, not exemplar, whatever
            the options ask for), among the candidates returned so far; asked afresh at each poll.
        retrieveDone: ids for which every expected row of this run is stored; asked at start only.
        retrieveParams: the tasks (origin and parameters) of any number of images in a constant number of queries; a
            value may be a Failure where an image's task cannot be made.
        checkReady: raises NotReady while an image's input is missing, growing or truncated, Outdated where it is
            elsewhere than the task says. Touches files only.
        prepare: last thing before submission, e.g. writes reference files once per distinct content.
        calc: what runs on a worker, can be pickled; takes a task and returns what was computed, having written its
            journal record: ``partial(computeTask, calc…)``.
        store: files and rows of what was computed, in marker-last order, safe to repeat; returns the files it placed.
        encode, decode: what was computed to and from a JSON-able dict (the journal); decode reads records of earlier
            versions too.
        report: what the step says about a stored result beyond its rows (one line), or an empty string.
        measure: numbers of a stored result, by the names of :mod:`appion.base.records.series`, None where they are not
            known; noted with the event and in the series of the run.
        reads: path of the file that `calc` reads most of, which a worker may read ahead; empty: none is worth it.
        timeout: seconds after which `calc` gives up by itself; None: it may run for ever.
        isOver: whether the session has been declared finished; asked at each poll.
        isAborted: whether a person has ended the job on the web pages; asked about once a minute.
        hasNews: whether the answers of retrieveCandidates, retrieveRejected and isOver may be others than those given
            after it last said so; they are not asked for before it says so again. Given True it says so in any case.
        rest: nothing is to be done now: to let go of what is not needed to call hasNews.
        program: the record of the external program that `calc` runs, noted with all that is computed; None: none.
        folders: what `calc` reads from, beside the run folder.
    """

    name: str
    retrieveCandidates: Callable[[int], Iterable[Candidate]]
    retrieveRejected: Callable[[], Iterable[int]]
    retrieveDone: Callable[[], Iterable[int]]
    retrieveParams: Callable[[Sequence[int]], dict[int, Any | Failure]]
    checkReady: Callable[[Any], None]
    prepare: Callable[[Any], Any]
    calc: Callable[[Any], Any]
    store: Callable[[Any], Sequence[str]]
    encode: Callable[[Any], dict[str, Any]]
    decode: Callable[[dict[str, Any]], Any]
    report: Callable[[Any], str] = lambda _result: ""
    measure: Callable[[Any], Mapping[str, Any]] = lambda _result: {}
    reads: Callable[[Any], str] = lambda _task: ""
    timeout: float | None = None
    isOver: Callable[[], bool] = lambda: False
    isAborted: Callable[[], bool] = lambda: False
    hasNews: Callable[[bool], bool] = lambda _afresh: True
    rest: Callable[[], None] = lambda: None
    program: Any = None
    folders: Sequence[str] = ()
