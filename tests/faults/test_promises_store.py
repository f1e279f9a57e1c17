"""P2: a daemon that is killed at any point of storing. What is found after a restart is whole, and there once."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connections

import sinedon
from appion.base.controller import series
from appion.base.loop import LoopOptions, runLoop
from appion.base.records.task import encodeComputed
from appion.base.retrieve.journal import readResult, retrieveResultIds
from appion.base.retrieve.series import readSeries
from appion.base.step import Candidate, Step
from appion.base.store.journal import saveResult
from appion.base.store.path import savePathData
from appion.ctfestimation.calc.internal import encoding as ctfencoding
from appion.ctfestimation.calc.internal import numbers as ctfnumbers
from appion.ctfestimation.records import CTFOptions
from appion.ctfestimation.retrieve import done as ctfdone
from appion.ctfestimation.store import result as ctfstore
from appion.ctfestimation.store.run import constructRunParams, saveCTFRun
from appion.motioncorrection.calc.internal.encoding import decodeResult
from appion.motioncorrection.calc.internal.numbers import calcNumbers
from appion.motioncorrection.retrieve.done import retrieveDone
from appion.motioncorrection.store.result import storeResult
from appion.motioncorrection.store.run import saveStackRun
from sinedon.models.appiondata import (
    ApAceRunData,
    ApCtfData,
    ApCtfFind4ParamsData,
    ApDDAlignImagePairData,
    ApDDAlignStatsData,
    ApDDFrameTrajectoryData,
    ApDDStackParamsData,
    ApDDStackRunData,
)
from sinedon.models.leginondata import (
    AcquisitionImageData,
    CameraEMData,
    ObjIceThicknessData,
    PresetData,
    SessionData,
    ZeroLossIceThicknessData,
)
from tests.base.fakes import fast, inline
from tests.ctfestimation.micrographs import makeOrigin
from tests.ctfestimation.test_rows import makeComputed
from tests.motioncorrection.results import makeExposure
from tests.services.sessions import makeSession

__all__ = ["fast", "inline"]

#: Seconds within which a daemon must have ended or died.
TIMEOUT = 60


class Countdown:
    """Kills the process, without any cleaning up, before its n-th change of a file or of a database."""

    def __init__(self, steps: int):
        self.steps = steps

    def step(self):
        self.steps -= 1
        if not self.steps:
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            self.step()
        return execute(sql, params, many, context)

    def install(self, stack: ExitStack, module, name: str):
        original = getattr(module, name)

        def changed(*args, **kwargs):
            self.step()
            return original(*args, **kwargs)

        setattr(module, name, changed)
        stack.callback(setattr, module, name, original)


@dataclass
class Computed:
    """An exposure that is computed but not stored: its result is in the journal of its run folder.

    `constructStep` does what the program does at its start, and `check` looks whether everything is stored once.
    """

    image_id: int
    rundir: Path
    constructStep: Callable[[], Step]
    check: Callable[[], None]
    isDeclaredDone: Callable[[], bool]

    def runDaemon(self):
        """What the daemon does with it: make or find the run, look what is done, store, forget the record."""
        step = self.constructStep()
        return runLoop(step, self.rundir, LoopOptions(wait=False, workers=1))

    def runAndDie(self, steps: int) -> bool:
        """Run the daemon in a process that is killed before its n-th change; False if it did not come so far."""
        sinedon.closeConnections()
        child = os.fork()
        if not child:
            code = 1
            try:
                with ExitStack() as stack:
                    countdown = Countdown(steps)
                    for alias in ("leginondata", "appiondata"):
                        stack.enter_context(connections[alias].execute_wrapper(countdown))
                    for name in ("link", "rename", "replace", "unlink"):
                        countdown.install(stack, os, name)
                    countdown.install(stack, shutil, "copyfileobj")
                    countdown.install(stack, series, "saveSeries")
                    self.runDaemon()
                code = 0
            finally:
                os._exit(code)
        code = awaitChild(child)
        assert code in (0, -signal.SIGKILL)
        return code != 0


def awaitChild(child: int) -> int:
    """The exit code of a child process, which gets a minute."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGABRT)
            deadline += TIMEOUT
        time.sleep(0.005)


def constructStep(image_id: int, **functions) -> Step:
    """A step with one exposure that must not be computed again, as its result is there."""

    def refuse(_params):
        raise AssertionError("computed again")

    return Step(
        name="fake", retrieveCandidates=lambda _after: [Candidate(image_id, "image")], retrieveRejected=set,
        retrieveParams=lambda ids: dict.fromkeys(ids, "params"), checkReady=refuse, prepare=refuse, calc=refuse,
        **functions,
    )  # fmt: skip


# -- motion correction ---------------------------------------------------------------------------------------------


def makeAligned(folder: Path, number: int) -> Computed:
    """An aligned exposure whose ice thickness is known, of a run that has no rows yet."""
    (folder / "run").mkdir()
    name = f"25nov22{number}"
    row = sinedon.insertRow(
        SessionData, name=name, image_path=str(folder / "images"), frame_path=str(folder)
    )
    path_id = savePathData(folder / "run")
    result = makeExposure(folder, SimpleNamespace(session_id=row.def_id), number)
    for model in (ObjIceThicknessData, ZeroLossIceThicknessData):
        sinedon.insertRow(model, image=result.origin.image_id, thickness=float(number))
    saveResult(result.origin.rundir, result.origin.image_id, encodeComputed(result))
    before = countRows()
    origin, options = result.origin, result.result.params.options

    def construct():
        run = saveStackRun(row.def_id, "run", path_id, preset="esn", align=True, bin=2.0)
        return constructStep(
            origin.image_id, retrieveDone=lambda: retrieveDone(run.def_id, row.def_id, options),
            store=lambda result: storeResult(result, run), encode=encodeComputed, decode=decodeResult,
            measure=calcNumbers,
        )  # fmt: skip

    def isDeclaredDone():
        return ApDDAlignImagePairData.objects.filter(source=origin.image_id).count() == 2

    return Computed(
        origin.image_id, folder / "run", construct, lambda: checkAligned(result, row.def_id, before), isDeclaredDone
    )


def countRows():
    return {model: model.objects.count() for model in (AcquisitionImageData, CameraEMData, PresetData)}


def checkAligned(result, session_id, before):
    """Everything of one exposure is there exactly once, and nothing that belongs to nothing."""
    origin = result.origin
    name = f"{origin.filename}-a"
    run = ApDDStackRunData.objects.get(session_id=session_id)
    assert ApDDStackParamsData.objects.count() == 1
    pairs = ApDDAlignImagePairData.objects.filter(source=origin.image_id, ddstackrun=run.def_id)
    images = [AcquisitionImageData.objects.get(pk=pair.result_id) for pair in pairs.order_by("def_id")]
    assert [image.filename for image in images] == [name, f"{name}-DW"]
    for image, model in ((images[0], ApDDFrameTrajectoryData), (images[0], ApDDAlignStatsData)):
        assert model.objects.filter(image=image.def_id).count() == 1
    for image in images:
        for model in (ObjIceThicknessData, ZeroLossIceThicknessData):
            assert model.objects.filter(image=image.def_id).count() == 1
    trajectory = ApDDFrameTrajectoryData.objects.get(image=images[0].def_id)
    assert ApDDAlignStatsData.objects.get(image=images[0].def_id).trajectory_id == trajectory.def_id
    after = countRows()
    added = {model.__name__: after[model] - before[model] for model in after}
    assert added == {"AcquisitionImageData": 2, "CameraEMData": 1, "PresetData": 2}
    folder = Path(origin.image_path)
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}-DW.mrc", f"{name}.mrc"]
    assert (folder / f"{name}.mrc").read_text().startswith("plain")
    assert (folder / f"{name}-DW.mrc").read_text().startswith("weighted")
    assert list(Path(origin.rundir).glob("*_c*.mrc")) == []


# -- CTF estimation ------------------------------------------------------------------------------------------------


def makeEstimated(folder: Path, number: int) -> Computed:
    """A micrograph whose CTF is estimated, of a run that has no rows yet."""
    (folder / "run").mkdir()
    made = makeSession(images=1, name=f"25nov22{number}", root=folder)
    path_id = savePathData(folder / "run")
    origin = makeOrigin(image_id=made.image_ids[0], rundir=str(folder / "run"), session_id=made.session_id)
    result = makeComputed(origin)
    saveResult(folder / "run", made.image_ids[0], encodeComputed(result))

    def construct():
        run = saveCTFRun(made.session_id, "run", path_id, constructRunParams(CTFOptions(), 2.7, "ctffind"))
        return constructStep(
            made.image_ids[0], retrieveDone=lambda: ctfdone.retrieveDone(run.def_id),
            store=lambda result: ctfstore.storeResult(result, run),
            encode=encodeComputed, decode=ctfencoding.decodeResult, measure=ctfnumbers.calcNumbers,
        )  # fmt: skip

    def check():
        run = ApAceRunData.objects.get(session_id=made.session_id)
        assert ApCtfFind4ParamsData.objects.count() == 1
        assert run.ctffind4_params_id == ApCtfFind4ParamsData.objects.get().def_id
        assert ApCtfData.objects.get(image=made.image_ids[0]).acerun_id == run.def_id
        assert ApCtfData.objects.count() == ApAceRunData.objects.count() == number

    def isDeclaredDone():
        return ApCtfData.objects.filter(image=made.image_ids[0]).exists()

    return Computed(made.image_ids[0], folder / "run", construct, check, isDeclaredDone)


# -- the promise ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fast", "inline")
@pytest.mark.parametrize(
    ("make", "database", "device"),
    [
        (makeAligned, "mariadatabase", "same"),
        (makeAligned, "sqlitedatabase", "another"),
        (makeEstimated, "mariadatabase", "same"),
    ],
    ids=["motioncorrection-mariadb", "motioncorrection-sqlite-another-disk", "ctfestimation-mariadb"],
)
def test_P2_killed_at_every_point_of_storing_everything_is_there_once(
    request, tmp_path, monkeypatch, make, database, device
):
    """Killed before each change in turn, killed again on the next start, then left alone.

    How many points there are is found out: there is one more for as long as the daemon still dies.
    """
    request.getfixturevalue(database)
    if device == "another":

        def refuse(*_args):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "link", refuse)
    died, number, early = True, 0, 0
    while died:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        computed = make(folder, number)
        died = computed.runAndDie(number)
        early += not computed.isDeclaredDone()
        if computed.isDeclaredDone():
            computed.check()  # so nothing may be left to do
        if died:
            computed.runAndDie(1 + number // 3)
        summary = computed.runDaemon()
        assert summary.counts["done"] == summary.total == 1
        computed.check()
        assert retrieveResultIds(computed.rundir) == []
        lines = readSeries(computed.rundir).lines
        assert set(lines) == {computed.image_id}
        assert len(set(lines[computed.image_id]) & {"drift", "defocus"}) == 1
    assert early >= 2, "at least the row of the run and the row that says done come one after another"
    assert number > early + 3, "after that the record is removed and the status written"


@pytest.mark.usefixtures("mariadatabase", "fast")
@pytest.mark.parametrize("number", [1, 6, 11])
def test_P2_connection_lost_while_storing_is_made_good_by_the_next_try(tmp_path, mariadb, number):
    """The server drops the connection before the n-th insert: the error tells, the next try completes it."""
    computed = makeAligned(tmp_path, 1)
    step = computed.constructStep()
    result = step.decode(readResult(computed.rundir, computed.image_id))
    inserts = []

    def drop(execute, sql, params, many, context):
        if sql.startswith("INSERT"):
            inserts.append(sql)
            if len(inserts) == number:
                mariadb.execute(f"KILL {context['connection'].connection.thread_id()}")
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in ("leginondata", "appiondata"):
            stack.enter_context(connections[alias].execute_wrapper(drop))
        with pytest.raises(DatabaseError) as caught:
            step.store(result)
    assert sinedon.isDatabaseAway(caught.value)
    sinedon.closeConnections()
    assert not computed.isDeclaredDone()
    step.store(result)
    computed.check()
