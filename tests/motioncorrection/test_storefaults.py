"""A daemon that dies while storing, at any step: what is found after a restart is whole, and there once."""

import errno
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import DatabaseError, connections

import sinedon
from appion.base.retrieve.journal import readResult
from appion.base.store.journal import saveResult
from appion.motioncorrection.calc.internal.encoding import decodeResult, encodeResult
from appion.motioncorrection.store.result import storeResult
from sinedon.models.appiondata import ApDDAlignImagePairData, ApDDAlignStatsData, ApDDFrameTrajectoryData
from sinedon.models.leginondata import (
    AcquisitionImageData,
    CameraEMData,
    ObjIceThicknessData,
    PresetData,
    ZeroLossIceThicknessData,
)
from tests.motioncorrection.results import makeExposure, makeRun

#: Exit code of a process that died as it was told to.
DIED = 9


class Countdown:
    """Ends the process, without any cleaning up, before its n-th change of a file or of a database."""

    def __init__(self, steps: int):
        self.steps = steps

    def step(self):
        self.steps -= 1
        if not self.steps:
            os._exit(DIED)

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


def storeJournalRecord(result, run):
    """What a daemon does with a record that it finds at its start."""
    storeResult(decodeResult(readResult(result.params.rundir, result.params.image_id)), run)


def storeAndDie(result, run, steps: int) -> bool:
    """Store a result in a process of its own that dies before its n-th change; False if it did not come so far."""
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
                storeJournalRecord(result, run)
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, DIED)
    return status == DIED


def checkStored(result, run, before):
    """Everything of one exposure is there exactly once."""
    params = result.params
    name = f"{params.filename}-a"
    pairs = ApDDAlignImagePairData.objects.filter(source=params.image_id, ddstackrun=run.def_id)
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
    folder = Path(params.image_path)
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}-DW.mrc", f"{name}.mrc"]
    assert (folder / f"{name}.mrc").read_text().startswith("plain")
    assert (folder / f"{name}-DW.mrc").read_text().startswith("weighted")
    assert list(Path(params.rundir).glob("*_c*.mrc")) == []


def makeJournalled(folder, number):
    """A run and an exposure with ice thickness, computed but not stored."""
    run = makeRun(folder, session=f"25nov22{number}")
    result = makeExposure(folder, run, number)
    for model in (ObjIceThicknessData, ZeroLossIceThicknessData):
        sinedon.insertRow(model, image=result.params.image_id, thickness=float(number))
    saveResult(result.params.rundir, result.params.image_id, encodeResult(result))
    return run, result


def countRows():
    return {model: model.objects.count() for model in (AcquisitionImageData, CameraEMData, PresetData)}


@pytest.mark.parametrize(
    ("database", "device"), [("sqlitedatabase", "same"), ("sqlitedatabase", "another"), ("mariadatabase", "same")]
)
def test_deathAtEveryStep(request, tmp_path, monkeypatch, database, device):
    """Killed before each change in turn, killed again on the next start, then left alone."""
    request.getfixturevalue(database)
    if device == "another":

        def refuse(*_args):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "link", refuse)
    died, number = True, 0
    while died:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        run, result = makeJournalled(folder, number)
        before = countRows()
        died = storeAndDie(result, run, number)
        if ApDDAlignImagePairData.objects.filter(source=result.params.image_id).count() == 2:
            checkStored(result, run, before)  # declared done, so nothing may be left to do
        if died:
            storeAndDie(result, run, 1 + number // 3)
        storeJournalRecord(result, run)
        checkStored(result, run, before)
    assert number >= 18  # two files, a record, a dozen rows, two files to remove


@pytest.mark.usefixtures("mariadatabase")
@pytest.mark.parametrize("number", [1, 6, 11])
def test_connectionLost(tmp_path, mariadb, number):
    """The server drops the connection before the n-th insert: the error tells, the next try completes it."""
    run, result = makeJournalled(tmp_path, number)
    before = countRows()
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
            storeJournalRecord(result, run)
    assert sinedon.isDatabaseAway(caught.value)
    sinedon.closeConnections()
    assert ApDDAlignImagePairData.objects.filter(source=result.params.image_id).count() == 0
    storeJournalRecord(result, run)
    checkStored(result, run, before)
