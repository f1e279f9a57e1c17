"""Files of stored results: nobody's is overwritten, and a disk that refuses is not the image's fault."""

import errno
import os
from dataclasses import replace

import pytest

from appion.base.failures import ImageFailure, InfrastructureFailure
from appion.base.retrieve.journal import readResult
from appion.motioncorrection.store.result import storeResult
from tests.motioncorrection.results import makeExposure, makeRun, readResults, readText


@pytest.fixture
def run(request, tmp_path):
    """A run in an empty database."""
    request.getfixturevalue("database")
    return makeRun(tmp_path)


def test_otherRunsKeepTheirs(tmp_path, run):
    """A second run with the same label: new names, the first one's files and rows untouched, even when moved away."""
    storeResult(makeExposure(tmp_path, run), run)
    other = makeRun(tmp_path, preset="esn", bin=1.0)
    assert other.def_id != run.def_id
    first = makeExposure(tmp_path, run)
    os.unlink(os.path.join(first.origin.image_path, "25nov22a_00002hl_00001esn-a-DW.mrc"))
    storeResult(first, other)
    names = [image.filename for image in readResults(first)]
    assert names[2:] == ["25nov22a_00002hl_00001esn-a_v01", "25nov22a_00002hl_00001esn-a-DW_v01"]
    assert readText(first, names[0]) == readText(first, names[2]) == "plain 1"


def test_nameTakenMeanwhile(tmp_path, run):
    """Somebody takes the name after it was chosen and written down: another one is chosen."""
    result = makeExposure(tmp_path, run, weighted=False)
    os.mkdir(result.origin.image_path)
    with open(os.path.join(result.origin.image_path, "25nov22a_00002hl_00001esn-a.mrc"), "w") as file:
        file.write("theirs")
    named = replace(result.origin, stored_names=("25nov22a_00002hl_00001esn-a",))
    storeResult(replace(result, origin=named), run)
    assert readText(result, "25nov22a_00002hl_00001esn-a") == "theirs"
    assert readText(result, "25nov22a_00002hl_00001esn-a_v01") == "plain 1"
    record = readResult(result.origin.rundir, result.origin.image_id)
    assert record["origin"]["stored_names"] == ["25nov22a_00002hl_00001esn-a_v01"]


def test_lostSum(tmp_path, run):
    result = makeExposure(tmp_path, run)
    os.unlink(result.result.dw_file)
    with pytest.raises(ImageFailure, match=r"_c-DW\.mrc .* computed again"):
        storeResult(result, run)
    assert readResults(result) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_folderRefuses(tmp_path, run, number, monkeypatch):
    """The image is not blamed, nothing is declared done, and later it works."""
    result = makeExposure(tmp_path, run)

    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        patch.setattr("shutil.copyfileobj", refuse)
        with pytest.raises(InfrastructureFailure, match=result.origin.image_path):
            storeResult(result, run)
    assert readResults(result) == []
    assert os.listdir(result.origin.image_path) == []
    storeResult(result, run)
    assert len(readResults(result)) == 2
