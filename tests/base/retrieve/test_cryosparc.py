"""CryoSPARC's folders: what is read of them, which exposure is which, and what is never believed."""

from __future__ import annotations

import json
import os
import struct
import time
from dataclasses import replace
from pathlib import Path

import bson
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appion.base.calc.cryosparc import calcSignature
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, NotReady
from appion.base.retrieve.cryosparc.arrays import readArray, readTable, readTrajectory
from appion.base.retrieve.cryosparc.exposures import findReader
from appion.base.retrieve.cryosparc.index import Index, findUnclaimed
from appion.base.retrieve.cryosparc.live import readDocument
from tests.cryosparc import Made, Project, saveTable

MANY = 2000
quiet = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def makeMovies(folder, number, session="26mar19a"):
    return [f"{folder}/frames/{session}/rawdata/{session}_{place:05d}enn.frames.tif" for place in range(number)]


def makeFit(number):
    """A fit that tells its exposure."""
    return 20000.0 + number, 10000.0 + number, 0.1


def openIndex(folder):
    index = Index(str(folder))
    index.refresh(force=True)
    return index


def nameOf(movie):
    return Path(movie).name.removesuffix(".frames.tif")


@pytest.mark.parametrize("kind", ["job", "session"])
def test_thousandsOfExposuresAreEachTheirOwn(tmp_path, kind):
    movies = makeMovies(tmp_path, MANY)
    made = [Made(movie, 7 + number, defocus=makeFit(number)) for number, movie in enumerate(movies)]
    project = Project(tmp_path / "P1")
    folder = project.makeJob("J3", made, files=False) if kind == "job" else project.makeSession("S1", made, files=False)
    index = openIndex(folder)
    assert index.trouble is None
    for number, movie in enumerate(movies):
        found = index.findMovie([movie], nameOf(movie))
        assert (found.rule, found.exposure.uid) == ("path", 7 + number)
        assert found.exposure.fit.defocus_u == 20000 + number
        assert found.exposure.motion.weighted.path.endswith(f"{nameOf(movie)}.frames_patch_aligned_doseweighted.mrc")
        assert (found.exposure.motion.first, found.exposure.motion.last) == (0, 6)
    assert findUnclaimed(index, map(nameOf, movies)) == []
    for path in index.content.files:
        os.utime(path, (time.time(), time.time() - 60))
    index.refresh(force=True)
    reads = index.reads
    index.refresh(force=True)
    assert index.reads == reads, "nothing changed, so nothing is read"
    os.utime(index.content.files[-1], (time.time(), time.time() - 1))
    for again in (1, 2):  # it may have been written while it was read: it is read until it has settled
        index.refresh(force=True)
        assert index.reads == reads + again


def test_eachRuleFindsWhatTheFormerDoesNot(tmp_path):
    movies = makeMovies(tmp_path, 4)
    project = Project(tmp_path / "P1")
    elsewhere = [movie.replace(str(tmp_path), "/copied") for movie in movies]
    made = [Made(movies[0], 1), Made(elsewhere[1], 2, values=(("movie_blob/import_sig", calcSignature(movies[1])),)),
            Made(elsewhere[2], 3)]  # fmt: skip
    index = openIndex(project.makeJob("J3", made))
    found = [index.findMovie([movie], nameOf(movie)) for movie in movies[:3]]
    assert [(one.rule, one.exposure.uid) for one in found] == [("path", 1), ("signature", 2), ("name", 3)]
    with pytest.raises(NotReady, match="has no exposure whose movie"):
        index.findMovie([movies[3]], nameOf(movies[3]))
    # a folder that is itself a link, and a movie that is one, lead to the same file
    (tmp_path / "alias").symlink_to(tmp_path / "frames")
    alias = movies[0].replace("/frames/", "/alias/", 1)
    assert index.findMovie([alias], nameOf(alias)).rule == "path"


def test_whatIsNotUniqueIsRefused(tmp_path):
    movies = makeMovies(tmp_path, 2)
    project = Project(tmp_path / "P1")
    index = openIndex(project.makeJob("J3", [Made(movies[0], 1), replace(Made(movies[0], 2)), Made(movies[1], 3)]))
    with pytest.raises(ImageFailure, match=r"2 exposures of CryoSPARC fit .* by their path \(uid 1, 2\)"):
        index.findMovie([movies[0]], nameOf(movies[0]))
    assert len(findUnclaimed(index, map(nameOf, movies))) == 2
    index.noteImages([(5, nameOf(movies[1])), (6, nameOf(movies[1]))])
    with pytest.raises(ImageFailure, match="is the name of several images"):
        index.findMovie(["/somewhere/else.frames.tif"], nameOf(movies[1]))


def test_namesThatContradictEachOtherAreNotBelieved(tmp_path):
    movies = makeMovies(tmp_path, 4)
    link = Path(movies[1]).name
    made = [
        Made(movies[0], 1, link=link),  # its link is called after another movie than it leads to
        Made(movies[2], 2, values=(("movie_blob/import_sig", calcSignature(movies[3])),)),
        Made(movies[2], 4, link=Path(movies[2]).name, values=(
            ("micrograph_blob/path", f"J3/motioncorrected/{4:021d}_{nameOf(movies[3])}.frames_patch_aligned.mrc"),)),
    ]  # fmt: skip
    index = openIndex(Project(tmp_path / "P1").makeJob("J3", made))
    for movie in movies[:2]:
        with pytest.raises((ImageFailure, NotReady)):
            index.findMovie([movie], nameOf(movie))
    with pytest.raises(ImageFailure, match=r"has the signature of .* and is called"):
        index.findMovie([movies[3]], nameOf(movies[3]))
    assert index.content.exposures[2].refused.startswith("its micrograph is called after another movie")


@quiet
@given(data=st.data())
def test_aNeighboursCTFIsNeverTaken(tmp_path_factory, data):
    """Whatever links, targets, signatures, sessions and doubles are shuffled: an exposure's own fit, or none."""
    folder = tmp_path_factory.mktemp("shuffled")
    number = data.draw(st.integers(2, 7))
    movies = makeMovies(folder, number) + makeMovies(folder, number, "26mar19")  # the beginning of the other's name
    links = data.draw(st.permutations(range(len(movies)))) if data.draw(st.booleans()) else range(len(movies))
    signed = data.draw(st.permutations(range(len(movies)))) if data.draw(st.booleans()) else range(len(movies))
    moved = data.draw(st.sets(st.integers(0, len(movies) - 1)))
    doubled = data.draw(st.sets(st.integers(0, len(movies) - 1), max_size=2))
    made = []
    for place, movie in enumerate(movies):
        target = movie.replace(str(folder), "/gone") if place in moved else movie
        values = () if data.draw(st.booleans()) else (("movie_blob/import_sig", calcSignature(movies[signed[place]])),)
        for copy in range(2 if place in doubled else 1):
            made.append(Made(target, 1 + place + 100 * copy, link=Path(movies[links[place]]).name,
                             defocus=makeFit(place), values=values))  # fmt: skip
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    project = Project(folder / "P1", prefixed=data.draw(st.booleans()))
    index = openIndex(project.makeJob("J3", made, files=False, rng=rng))
    untouched = [place for place in range(len(movies)) if links[place] == place and signed[place] == place]
    for place, movie in enumerate(movies):
        try:
            found = index.findMovie([movie], nameOf(movie))
        except Failure:
            others = [other for other in range(len(movies)) if signed[other] == place and other != place]
            assert place not in untouched or place in doubled or others
            continue
        assert found.exposure.fit.defocus_u == 20000 + place


def test_aRunningJobAndAHalfWrittenSessionAreWaitedFor(tmp_path):
    movies = makeMovies(tmp_path, 2)
    project = Project(tmp_path / "P1")
    job = project.makeJob("J3", [Made(movies[0], 1)], status="running")
    index = openIndex(job)
    with pytest.raises(NotReady, match="the job is running"):
        index.findMovie([movies[0]], nameOf(movies[0]))
    project.makeJob("J3", [Made(movies[0], 1)])
    index.refresh(force=True)
    assert index.findMovie([movies[0]], nameOf(movies[0]))
    session = project.makeSession("S1", [Made(movies[0], 1)])
    index = openIndex(session)
    whole = (session / "exposures.bson").read_bytes()
    (session / "exposures.bson").write_bytes(whole[: len(whole) // 2])
    index.refresh(force=True)
    assert isinstance(index.trouble, NotReady)
    assert index.findMovie([movies[0]], nameOf(movies[0])), "what was read before is still known"
    (session / "exposures.bson").unlink()
    index.refresh(force=True)
    assert index.findMovie([movies[0]], nameOf(movies[0]))
    with pytest.raises(ConfigurationFailure, match="neither a job's folder"):
        findReader(str(tmp_path))


def test_stagesTellWhatIsThereAlready(tmp_path):
    movies = makeMovies(tmp_path, 6)
    made = [Made(movie, 1 + number) for number, movie in enumerate(movies)]
    stages = {1: "found", 2: "motion", 3: "ctf", 4: "thumbs", 5: "compacted"}
    session = Project(tmp_path / "P1").makeSession("S1", made, stage=stages, deleted={6: True})
    index = openIndex(session)
    known = [(bool(one.motion), bool(one.fit), one.refused) for one in index.content.exposures]
    assert known == [
        (False, False, ""), (False, False, ""), (True, False, ""), (True, True, ""), (True, True, ""),
        (True, True, "it was deleted in CryoSPARC"),
    ]  # fmt: skip


def test_zeroIsNoDefocusAndNoUnitGoesMissing(tmp_path):
    movies = makeMovies(tmp_path, 2)
    made = [Made(movies[0], 1, defocus=(0.0, 0.0, 0.0)), Made(movies[1], 2, defocus=None)]
    index = openIndex(Project(tmp_path / "P1").makeJob("J3", made))
    assert [one.fit for one in index.content.exposures] == [None, None]
    assert all(one.no_fit for one in index.content.exposures)


@pytest.mark.parametrize("path", ["../outside.mrc", "/etc/passwd", ">../../x.mrc", "J3/../../x_aligned.mrc", "a\0b"])
def test_pathsDoNotLeadOutOfTheProject(tmp_path, path):
    movie = makeMovies(tmp_path, 1)[0]
    made = [Made(movie, 1, values=(("rigid_motion/path", path),))]
    index = openIndex(Project(tmp_path / "P1").makeSession("S1", made))
    (exposure,) = index.content.exposures
    assert "leads out of the project" in exposure.refused
    assert exposure.motion is None


def test_devicesPipesAndPicklesAreNotRead(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "device.npy").symlink_to("/dev/zero")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "compressed.npy").write_bytes(b"\x95CSDAT" + bytes(100))
    header = repr({"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}).encode()
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
    (tmp_path / "long.npy").write_bytes(b"\x93NUMPY\x02\0" + struct.pack("<I", 1 << 31) + bytes(64))
    for name in ("pipe", "device", "objects", "compressed", "huge", "long"):
        with pytest.raises(ImageFailure):
            readArray(str(tmp_path / f"{name}.npy"))
    for shape in ((3, 4, 5), (4,), (1, 6, 3)):
        np.save(tmp_path / "odd.npy", np.zeros(shape))
        with pytest.raises(ImageFailure):
            readTrajectory(str(tmp_path / "odd.npy"))
    np.save(tmp_path / "nan.npy", np.full((1, 6, 2), np.nan))
    with pytest.raises(ImageFailure):
        readTrajectory(str(tmp_path / "nan.npy"))


@quiet
@given(data=st.data())
def test_whateverBytesThereAreTheyAreReadOrRefused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("bytes")
    path = folder / "table.cs"
    saveTable(path, [{"uid": 1 + place, "ctf/df1_A": 1.0, "movie_blob/path": f"a{place}"} for place in range(3)])
    whole = bytearray(path.read_bytes())
    document = bytearray(bson.encode({"exposures": [{"uid": 1, "stage": "ready", "x": [1.5, None, True, b"x"]}]}))
    for content, name in ((whole, path), (document, folder / "exposures.bson")):
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        name.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    for read, name in ((readTable, path), (readDocument, folder / "exposures.bson")):
        try:
            read(str(name))
        except Failure:
            continue


def test_aJobThatTellsNonsenseIsNoJob(tmp_path):
    folder = Project(tmp_path / "P1").makeJob("J3", [Made(makeMovies(tmp_path, 1)[0], 1)])
    for results in (None, [], [7], [{"name": "ctf", "group_name": "x", "metafiles": "x"}],
                    [{"name": "ctf", "group_name": "x", "metafiles": ["../../../etc/passwd"]}]):  # fmt: skip
        (folder / "job.json").write_text(json.dumps({"status": "completed", "output_results": results}))
        assert isinstance(openIndex(folder).trouble, ImageFailure)
    (folder / "job.json").write_text("[" * 100_000)
    assert isinstance(openIndex(folder).trouble, NotReady)
