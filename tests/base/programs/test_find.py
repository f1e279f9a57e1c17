"""Programs by their names: every spelling that is met, and which one a command takes."""

import logging
import os
import sys
import time

import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.programs import identify
from appion.base.programs.find import SEARCHES, findProgram, searchProgram
from appion.base.programs.identify import identifyProgram, judgeName
from appion.base.programs.searches import chooseSearch
from appion.base.records.program import Program, isSameVersion
from tests.motioncorrection.test_external import isRunning

SPELLINGS = {
    "motioncor2": (
        ("motioncor2", ""), ("MotionCor2", ""), ("MOTIONCOR2", ""), ("MotionCor2_1.4.0_Cuda101", "1.4.0"),
        ("MotionCor2_1.6.4_Cuda121_Mar312023", "1.6.4"), ("MotionCor2_v1.3.1-Cuda101", "1.3.1"),
        ("motioncor2-1.1.0-gcc-9.3.0-cuda-10.2", "1.1.0"), ("motioncor2-cuda11", ""),
    ),
    "motioncor3": (
        ("MotionCor3", ""), ("motioncor3", ""), ("MotionCor3_1.0.1_Cuda121_10-26-2023", "1.0.1"),
    ),
    "ctffind4": (
        ("ctffind", ""), ("ctffind4", ""), ("ctffind-4.1.13", "4.1.13"), ("ctffind-4.1.14-linux64", "4.1.14"),
        ("ctffind_4.1.5", "4.1.5"), ("CTFFIND4", ""),
    ),
    "ctffind5": (("ctffind5", ""), ("ctffind-5.0.2", "5.0.2"), ("Ctffind5-gcc", "")),
    "gctf": (
        ("gctfCurrent", ""), ("gctf", ""), ("Gctf", ""), ("Gctf-v1.06_sm_30_cu8.0_x86_64", "1.06"),
        ("Gctf-v0.50_sm_30_cu7.5_x86_64", "0.50"), ("Gctf_v1.18_sm30-75_cu10.1", "1.18"),
    ),
    "gctffind": (("gctffind", ""), ("GCtfFind", ""), ("GCTFFind", ""), ("GCtfFind_1.1.6_cuda12", "1.1.6")),
}  # fmt: skip

#: What lies about in such folders and is no such program.
STRANGERS = (
    "motioncor2.py", "motioncor3.py", "makeDDAlignMotionCor2_UCSF.py", "ctffind4.py", "ctffind5.py", "gctf.py",
    "gctffind.py", "ctffind_plot_results.sh", "MotionCor2_1.6.4.tar.gz", "MotionCor2-UserManual-05-03-2022.pdf",
    "motioncor-cpu", "ctffind-cpu", "motioncorr", "MotionCor1", "motioncor2_wrapper_test", "ctftilt", "gctf2star",
    "MotionCor2_1.6.4_Cuda121.bak",
)  # fmt: skip


@pytest.fixture
def make(tmp_path):
    """Make executables: name, what they print, folder; returns the path."""

    def make(name, says="", folder="bin", code=0):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho asked >> {path}.asked\ncat <<'END'\n{says}\nEND\nexit {code}\n")
        path.chmod(0o755)
        return str(path)

    return make


def search(tmp_path, wanted, **more):
    return searchProgram(wanted, search_path=f"{tmp_path}/bin:{tmp_path}/bin2", **more)


def tell(found):
    return [text for level, text in found.messages if level == logging.WARNING]


@pytest.mark.parametrize(
    ("wanted", "name", "version"),
    [(wanted, *spelling) for wanted, spellings in SPELLINGS.items() for spelling in spellings],
)
def test_eachSpellingIsFound(tmp_path, make, wanted, name, version):
    for stranger in STRANGERS:
        make(stranger)
    path = make(name, "none of your business", code=255)
    found = search(tmp_path, wanted)
    assert found.program == Program(SEARCHES[wanted].kind, path, version)
    assert not [one for one in STRANGERS if os.path.exists(tmp_path / "bin" / f"{one}.asked")]


@pytest.mark.parametrize("wanted", SEARCHES)
def test_nothingElseIsTakenForIt(tmp_path, make, wanted):
    for stranger in STRANGERS:
        make(stranger)
    others = {"gctf": "gctffind", "gctffind": "gctf"}
    for name, _ in SPELLINGS.get(others.get(wanted), ()):
        make(name)
    (tmp_path / "bin" / SEARCHES[wanted].names[0]).mkdir()
    plain = tmp_path / "bin" / f"{SEARCHES[wanted].names[0]}-9.9"
    plain.write_text("not executable")
    os.symlink(tmp_path / "bin" / "motioncor2.py", tmp_path / "bin" / f"{SEARCHES[wanted].names[0]}_1.0")
    with pytest.raises(ConfigurationFailure, match=f"no {SEARCHES[wanted].title} was found"):
        search(tmp_path, wanted)


def test_commandDecides(tmp_path, make):
    two, three = make("motioncor2", "MotionCor2 version 1.6.4"), make("MotionCor3", "MotionCor3 version 1.1.2")
    assert search(tmp_path, "makeDDAlignMotionCor2_UCSF.py").program == Program("motioncor2", two, "1.6.4")
    assert search(tmp_path, "makeDDAlignMotionCor3.py").program == Program("motioncor3", three, "1.1.2")
    four, five = make("ctffind", "   Version : 4.1.14"), make("ctffind5", "Library Version : 2.0\n   Version : 5.0.2")
    assert search(tmp_path, "ctffind4.py").program == Program("ctffind", four, "4.1.14")
    assert search(tmp_path, "/opt/appion/bin/ctffind5.py").program == Program("ctffind", five, "5.0.2")
    names = ("motioncor2.py", "motioncor3", "makeDDAlignMotionCor3", "gctf.py", "gctffind.py")
    assert [chooseSearch(name) for name in names] == ["motioncor2", "motioncor3", "motioncor3", "gctf", "gctffind"]
    with pytest.raises(ConfigurationFailure, match="'relion' runs none of"):
        searchProgram("relion")


def test_versionInTheBannerBeatsTheName(tmp_path, make):
    make("ctffind5", "Version : 4.1.14")
    five = make("ctffind-5.0.2", "Version : 5.0.2")
    found = search(tmp_path, "ctffind5")
    assert found.program == Program("ctffind", five, "5.0.2")
    assert not tell(found)


def test_plainNameGoesFirstThenTheNewestAndItIsSaid(tmp_path, make):
    old, new = make("MotionCor2_1.4.0_Cuda101"), make("MotionCor2_1.10.2-Cuda121", folder="bin2")
    (message,) = search(tmp_path, "motioncor2").messages
    assert message[0] == logging.INFO
    assert message[1] == (
        f"MotionCor2: {new} is used, no file is called just motioncor2 or MotionCor2, and its version is the newest; "
        f"found as well: {old}"
    )
    plain = make("MotionCor2", folder="bin2")
    found = search(tmp_path, "motioncor2")
    assert found.program.path == plain
    assert "the name MotionCor2 goes first" in found.messages[0][1]
    os.symlink(plain, tmp_path / "bin" / "motioncor2")
    found = search(tmp_path, "motioncor2")
    assert found.program.path == str(tmp_path / "bin" / "motioncor2")
    assert f"{plain}," not in found.messages[0][1], "two names of one file"


def test_eachIsAskedOnce(tmp_path, make):
    first = make("ctffind", "Version : 4.1.14")
    second = make("ctffind5", "Version : 5.0.2")
    for wanted in ("ctffind4", "ctffind5", "ctffind4", "ctffind5"):
        search(tmp_path, wanted)
    for path in (first, second):
        with open(f"{path}.asked") as file:
            assert file.read() == "asked\n"


def test_siblingTakesThePlaceWithAWarning(tmp_path, make):
    three = make("MotionCor3", "MotionCor3 version 1.1.2")
    found = search(tmp_path, "motioncor2")
    assert found.program == Program("motioncor3", three, "1.1.2")
    assert tell(found) == [f"no MotionCor2 was found: motioncor3 1.1.2 ({three}) is used in its place"]
    two = make("motioncor3", "MotionCor2 version 1.6.4", "only")
    found = searchProgram("motioncor3", search_path=str(tmp_path / "only"))
    assert found.program == Program("motioncor2", two, "1.6.4"), "what it says counts"
    four = make("ctffind", "Version : 4.1.14")
    assert tell(search(tmp_path, "ctffind5")) == [
        f"no CTFFIND 5 was found: ctffind 4.1.14 ({four}) is used in its place"
    ]
    assert not tell(search(tmp_path, "ctffind4"))


def test_cpuProgramsRunOnlyWhenAskedFor(tmp_path, make):
    """A PATH with nothing but capitals once ran motioncor-cpu on whole frames; one with nothing must not either."""
    for wanted, own in (("motioncor2", "motioncor-cpu"), ("motioncor3", "motioncor-cpu"), ("ctffind5", "ctffind-cpu")):
        setting = SEARCHES[wanted].setting
        with pytest.raises(ConfigurationFailure) as caught:
            search(tmp_path, wanted)
        failure = caught.value
        assert all(name in failure.reason for name in SEARCHES[wanted].names)
        assert f"is in {tmp_path}/bin:{tmp_path}/bin2;" in failure.reason
        assert f"the setting {setting} names none" in failure.reason
        line = f"export DASK_APPION__{setting.replace('.', '__').upper()}={own}"
        assert failure.remedy.endswith(line)
        named = search(tmp_path, wanted, executable=own)
        assert (named.program.kind, named.messages) == (own, ())
        assert named.program.version
        fallen = search(tmp_path, wanted, cpu_fallback=True)
        assert fallen.program == named.program
        assert "as the setting cpu_fallback says" in tell(fallen)[0]
    real = make("MotionCor2", "MotionCor2 version 1.6.4")
    assert search(tmp_path, "motioncor2", cpu_fallback=True).program.path == real
    with pytest.raises(ConfigurationFailure, match="GCTFFind") as caught:
        search(tmp_path, "gctffind", cpu_fallback=True)
    assert "export" not in caught.value.remedy
    assert "APPION_MOTIONCOR2_EXE is not set" in str(_missing(tmp_path / "no"))


def _missing(folder):
    with pytest.raises(ConfigurationFailure) as caught:
        searchProgram("motioncor2", search_path=str(folder))
    return caught.value


def test_linkToTheCpuProgramIsNotTakenForAnother(tmp_path, make):
    make("motioncor2", "motioncor-cpu version 2026.1")
    with pytest.raises(ConfigurationFailure, match=r"bin/motioncor2 is motioncor-cpu 2026\.1;"):
        search(tmp_path, "motioncor2")


def test_settingNamesAFileOrAFolder(tmp_path, make):
    path = make("our-own-build", "MotionCor2 version 1.5.0", "elsewhere")
    assert search(tmp_path, "motioncor2", executable=path).program == Program("motioncor2", path, "1.5.0")
    found = search(tmp_path, "motioncor3", executable=path)
    assert tell(found) == [
        f"the setting motioncorrection.executable names motioncor2 1.5.0 ({path}), the command is made for MotionCor3"
    ]
    make("MotionCor2_1.4.4", folder="programs")
    new = make("MotionCor2_1.6.3", folder="programs/bin")
    newest = make("MotionCor2", "MotionCor2 version 1.6.4", folder="programs/1.6.4/bin")
    make("MotionCor3", "MotionCor3 version 1.1.2", folder="programs")
    found = search(tmp_path, "motioncor2", executable=f"{tmp_path}/programs")
    assert found.program == Program("motioncor2", newest, "1.6.4")
    assert f"{newest} is used, the newest version in {tmp_path}/programs; found as well: " in found.messages[0][1]
    assert new in found.messages[0][1]
    four = make("ctffind", "Version : 4.1.14", "ctf/ctffind-4.1.14/bin")
    five = make("ctffind", "Version : 5.0.2", "ctf/ctffind-5.0.2")
    for wanted, expected in (("ctffind4", four), ("ctffind5", five)):
        assert search(tmp_path, wanted, executable=f"{tmp_path}/ctf").program.path == expected


@pytest.mark.parametrize(
    ("wanted", "executable", "message"),
    [
        ("motioncor2", "nothing", r"'nothing' is not an executable file.*correct the setting motioncorrection\.exec"),
        ("gctf", "GCtfFind", r"'GCtfFind' is gctffind 1\.1\.2, not Gctf.*correct the setting gctf\.executable"),
        ("gctffind", "Gctf-v1.06", r"is gctf 1\.06, not GCtfFind"),
        ("ctffind5", "ctffind5.py", r"is a command of Appion, not the CTFFIND 5 that it runs"),
        ("motioncor2", "ctffind-4.1.14", r"is ctffind 4\.1\.14, not MotionCor2"),
        ("motioncor2", "", r"program '/nowhere/motioncor2' is not.*correct the variable APPION_MOTIONCOR2_EXE"),
        ("ctffind4", "EMPTY", r"the folder .*EMPTY has no CTFFIND 4 \(ctffind, ctffind4, ctffind5\).*ctffind\.exec"),
    ],
)
def test_wrongNameIsRefused(tmp_path, make, monkeypatch, wanted, executable, message):
    make("GCtfFind", "GCtfFind version 1.1.2, May 08, 2025")
    make("Gctf-v1.06")
    make("ctffind-4.1.14")
    make("ctffind5.py")
    (tmp_path / "EMPTY").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APPION_MOTIONCOR2_EXE", "/nowhere/motioncor2")
    with pytest.raises(ConfigurationFailure, match=message):
        search(tmp_path, wanted, executable=executable)


def test_variablesOfTheSites(tmp_path, make, monkeypatch, caplog):
    two, four = make("mc2", "MotionCor2 version 1.6.4", "a"), make("ctffind_container", "Version : 4.1.14", "a")
    make("motioncor2", "MotionCor2 version 1.5.0")
    monkeypatch.setenv("APPION_MOTIONCOR2_EXE", two)
    monkeypatch.setenv("APPION_CTFFIND4_PATH", four)
    path = f"{tmp_path}/bin"
    assert findProgram("motioncor2", search_path=path) == Program("motioncor2", two, "1.6.4")
    assert findProgram("motioncor2", f"{tmp_path}/bin/motioncor2", path).version == "1.5.0", "the setting wins"
    assert findProgram("ctffind4", search_path=path).path == four
    assert not caplog.records
    assert findProgram("motioncor3", search_path=path).version == "1.5.0"
    assert "is used in its place" in caplog.text


def test_silentProgramIsEndedWithWhatItStarted(tmp_path, make):
    path = make("ctffind", folder="slow")
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\necho '  Version : 4.1.14'\nsleep 600 & echo $! > {tmp_path}/child\nwait\n")
    assert identifyProgram("ctffind", path, timeout=5.0) == Program("ctffind", path, "4.1.14")
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 600
    while isRunning(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_versionOfAFolder(make):
    silent = make("motioncor2", folder="MotionCor2_1.5.0/bin", code=2)
    assert identifyProgram("motioncor", silent).version == "1.5.0"
    assert judgeName("GCtfFind") == "gctffind"
    assert judgeName("ctffind-cpu") == "ctffind-cpu"


def test_sameVersion():
    program = Program("motioncor2", "/a/motioncor2", "1.6.4")
    assert isSameVersion(program, Program("motioncor2", "/b/MotionCor2", "1.6.4"))
    assert not isSameVersion(program, Program("motioncor3", "/a/motioncor2", "1.6.4"))
    assert not isSameVersion(program, Program("motioncor2", "/a/motioncor2", "1.6.3"))
    assert isSameVersion(Program("gctf", "/a/gctf"), Program("gctf", "/a/gctf"))
    assert not isSameVersion(Program("gctf", "/a/gctf"), Program("gctf", "/b/gctf"))


def test_neitherDatabaseNorSchedulerIsNeeded():
    code = "import sys, appion.base.programs.find; sys.exit(bool({'django', 'dask', 'sinedon'} & set(sys.modules)))"
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", code) == 0
    assert identify.askProgram.cache_info().maxsize is None
