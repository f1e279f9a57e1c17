"""Links, copies, and copies that are turned; optics groups."""

import os
import re
import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from appion.base.failures import ConfigurationFailure
from appion.export.optics import Optics, assignGroups, clusterShifts
from appion.export.place import constructSafeName, openPlace


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "leginon" / "a.mrc"
    path.parent.mkdir()
    with mrcfile.new(path) as mrc:
        mrc.set_data(np.arange(12, dtype=np.float32).reshape(3, 4))
        mrc.voxel_size = 1.25
        mrc.add_label("made by motioncor2 1.6.4")
    return path


def test_linksAreRelativeAndMoveWithTheirTree(tmp_path, image):
    place = openPlace(tmp_path / "project" / "export", tmp_path / "project", False)
    assert place.place(str(image), "Micrographs", "s", "a.mrc") == "export/Micrographs/s/a.mrc"
    link = tmp_path / "project" / "export" / "Micrographs" / "s" / "a.mrc"
    assert not os.path.isabs(os.readlink(link))
    before = os.lstat(link).st_mtime_ns
    place.place(str(image), "Micrographs", "s", "a.mrc")
    assert os.lstat(link).st_mtime_ns == before
    shutil.copytree(tmp_path / "project", tmp_path / "elsewhere" / "project", symlinks=True)
    shutil.copytree(tmp_path / "leginon", tmp_path / "elsewhere" / "leginon")
    assert mrcfile.read(tmp_path / "elsewhere" / "project" / "export" / "Micrographs" / "s" / "a.mrc").shape == (3, 4)


def test_aFolderThatIsReachedByALink(tmp_path, image):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "short").symlink_to(tmp_path / "deep" / "er")
    openPlace(tmp_path / "short", None, False).place(str(image), "Micrographs", "a.mrc")
    assert mrcfile.read(tmp_path / "deep" / "er" / "Micrographs" / "a.mrc").shape == (3, 4)


def test_copiesTakeThePlaceOfLinks(tmp_path, image):
    openPlace(tmp_path / "out", None, False).place(str(image), "a.mrc")
    place = openPlace(tmp_path / "out", None, True)
    assert place.place(str(image), "a.mrc") == "a.mrc"
    copied = tmp_path / "out" / "a.mrc"
    assert not copied.is_symlink()
    assert copied.read_bytes() == image.read_bytes()
    assert place.turn(str(image), (True, 1), "b.mrc") == "b.mrc"
    with mrcfile.open(tmp_path / "out" / "b.mrc") as mrc:
        np.testing.assert_array_equal(mrc.data, np.flipud(np.rot90(mrcfile.read(image), -1)))
        assert mrc.voxel_size.x == pytest.approx(1.25)
        assert "made by motioncor2 1.6.4" in mrc.get_labels()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.endswith(".tmp")] == []
    assert mrcfile.read(image)[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["a b.mrc", "a_b;$(touch x).mrc", "-rf", "ü.frames.tif", "`id`", "a'b\".mrc"])
def test_namesThatAShellWouldRead(tmp_path, image, name):
    """They are others, still each its own, and end alike."""
    path = openPlace(tmp_path / "out", None, False).place(str(image), "Micrographs", name, name)
    folder, file = path.split("/")[1:]
    assert folder == file
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", file)
    assert Path(file).suffix == Path(name).suffix
    assert (tmp_path / "out" / path).exists()
    assert constructSafeName(name) != constructSafeName(f"{name} ")


def test_otherNamesStay():
    name = "26mar19a_00012gr_00003sq_v01-2_00001en+a-DW.mrc"
    assert constructSafeName(name) == name


def test_foldersThatCannotBe(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationFailure, match="is not a folder"):
        openPlace(tmp_path / "file", None, False)
    with pytest.raises(ConfigurationFailure, match="does not lie in"):
        openPlace(tmp_path / "out", tmp_path / "project", False)


def test_groupsAreNumberedAsTheyCome():
    first, second = Optics(1.0, 300.0, 2.7, 0.1, 0.5), Optics(1.0, 200.0, 2.7, 0.1, 0.5)
    assert assignGroups([first, second, first]) == ([first, second], [1, 2, 1])


def test_imageShiftsAroundPositions():
    rng = np.random.default_rng(1)
    places = [(2.0 * x, 2.0 * y) for x in range(-1, 2) for y in range(-1, 2)]
    owners = rng.integers(0, 9, 3000)
    shifts = [tuple(rng.normal(places[owner], 0.04).tolist()) for owner in owners]
    found = clusterShifts([*shifts, None])
    assert found[-1] == 0
    assert sorted(set(found[:-1])) == list(range(1, 10))
    assert len({(owner, number) for owner, number in zip(owners.tolist(), found[:-1], strict=True)}) == 9
    assert clusterShifts([None, None]) == [0, 0]
    assert clusterShifts([(0.0, 0.0), (0.0, 0.0)]) == [1, 1]
