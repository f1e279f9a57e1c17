"""The program ctffind-cpu: questions, answers, exit codes and files."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import mrcfile
import numpy as np
import pexpect
import pytest

from appion.ctfestimation.cli import ctffindcpu
from tests.ctfestimation.simulated import simulateMicrograph

PROGRAM = [sys.executable, "-m", "appion.ctfestimation.cli.ctffindcpu"]
QUESTIONS = (
    ("Input image file name", "image.mrc"),
    ("Output diagnostic image file name", "out.mrc"),
    ("Pixel size", "1.0"),
    ("Acceleration voltage", "300.0"),
    ("Spherical aberration", "2.70"),
    ("Amplitude contrast", "0.07"),
    ("Size of amplitude spectrum to compute", "256"),
    ("Minimum resolution", "30.0"),
    ("Maximum resolution", "5.0"),
    ("Minimum defocus", "5000.0"),
    ("Maximum defocus", "30000.0"),
    ("Defocus search step", "1000.0"),
    ("Do you know what astigmatism is present?", "no"),
    ("Slower, more exhaustive search?", "no"),
    ("Use a restraint on astigmatism?", "no"),
    ("Find additional phase shift?", "no"),
    ("Do you want to set expert options?", "no"),
)


@cache
def simulate(phase: float = 0.0) -> np.ndarray:
    return simulateMicrograph((768, 768), 1.0, 1.5e-6, 1.45e-6, 35.0, phase, snr=1.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    mrcfile.write(tmp_path / "image.mrc", simulate())
    monkeypatch.chdir(tmp_path)
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    return tmp_path


def answer(monkeypatch, *changes: tuple[str, str | list[str]], options: tuple[str, ...] = ()) -> int:
    """Run the program with the usual answers, some of them changed, or replaced by several; return the exit code."""
    answers = dict(QUESTIONS) | dict(changes)
    lines = [line for given in answers.values() for line in ([given] if isinstance(given, str) else given)]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return ctffindcpu.main(options)


def readRows(path: Path) -> list[list[float]]:
    return [[float(word) for word in line.split()] for line in path.read_text().splitlines() if line[0] != "#"]


def testWholeProgram(folder):
    lines = "".join(f"{given}\n" for _, given in QUESTIONS) + "surplus\n"
    done = subprocess.run(PROGRAM, input=lines, capture_output=True, text=True, cwd=folder, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Welcome to Ctffind-cpu.*\n\n +Version : \S+\n +Mode : Scripted", done.stdout)
    for question, given in QUESTIONS:
        assert f"\n{question:<51}: {given}\n" in done.stdout
    assert re.search(r"DFMID1      DFMID2      ANGAST          CC\n\n( +-?\d+\.\d+){4}\n", done.stdout)
    found = re.search(r"Estimated defocus values        : (\S+) , (\S+) Angstroms\n"
                      r"Estimated azimuth of astigmatism: (\S+) degrees\n"
                      r"Score                           : (\S+)\n"
                      r"Pixel size for fitting          : 1.398 Angstroms\n"
                      r"Thon rings with good fit up to  : (\S+) Angstroms\n", done.stdout)  # fmt: skip
    assert found
    assert [float(value) for value in found.groups()[:3]] == pytest.approx([15000, 14500, 35], abs=15)

    table = (folder / "out.txt").read_text().splitlines()
    assert [line[0] for line in table] == ["#", "#", "#", "#", "#", "1"]
    assert table[0].startswith("# Output from CTFFind-CPU version ")
    assert table[1] == "# Input file: image.mrc ; Number of micrographs: 1"
    assert re.fullmatch(r"1\.000000( -?\d+\.\d{6}){6}", table[5])
    row = [float(word) for word in table[5].split()]
    assert row[1:3] == pytest.approx([float(found[1]), float(found[2])], abs=0.01)
    assert row[4] == 0

    curves = (folder / "out_avrot.txt").read_text().splitlines()
    assert [line[0] == "#" for line in curves] == [True] * 5 + [False] * 6
    assert curves[3].endswith("; num. frames averaged: 1")
    frequency, plain, average, model, correlation, noise = readRows(folder / "out_avrot.txt")
    assert len({len(values) for values in (frequency, plain, average, model, correlation, noise)}) == 1
    assert frequency[2] == pytest.approx(2 / 358, abs=1e-6)
    assert max(model) <= 1
    assert all(-1 <= value <= 1 for value in correlation)
    inside = slice(40, 72)
    assert np.corrcoef(average[inside], model[inside])[0, 1] > 0.8

    with mrcfile.open(folder / "out.mrc") as mrc:
        assert (mrc.data.shape, mrc.data.dtype) == ((256, 256), np.float32)
        assert mrc.voxel_size.x == pytest.approx(1 / 256)
        assert np.isfinite(mrc.data).all()
        assert mrcfile.validate(folder / "out.mrc")


@pytest.mark.parametrize(
    "changes",
    [
        [("Input image file name", "missing.mrc")], [("Pixel size", "one")], [("Pixel size", "0")],
        [("Pixel size", "")], [("Pixel size", "nan")], [("Acceleration voltage", "-300")],
        [("Amplitude contrast", "1.1")],
        [("Size of amplitude spectrum to compute", "100")], [("Size of amplitude spectrum to compute", "512.5")],
        [("Minimum resolution", "60")], [("Maximum resolution", "31")], [("Maximum defocus", "4000")],
        [("Defocus search step", "0.5")], [("Slower, more exhaustive search?", "maybe")],
        [("Output diagnostic image file name", "no/such/folder.mrc")], [("Do you want to set expert options?", [])],
        [("Find additional phase shift?", ["yes", "0", "4"])], [("Find additional phase shift?", ["yes", "1", "0.5"])],
    ],
)  # fmt: skip
def testWrongAnswersOfAScript(folder, monkeypatch, capsys, changes):
    assert answer(monkeypatch, *changes) == 255
    said = capsys.readouterr().out
    wrong = changes[0][1]
    assert "\nError: " in said
    if wrong in ("", []):
        assert f"Error: Blank answer in scripted mode, exiting... ({changes[0][0]})" in said
    assert sorted(path.name for path in folder.iterdir()) == ["image.mrc"]


@pytest.mark.parametrize(
    ("question", "given", "said"),
    [
        ("Pixel size", "1e-10", "Pixel size=1e-10 is not possible: it looks like m, the answer wants 0.05 to 100 Å"),
        ("Pixel size", "1060", "is not possible"),
        ("Acceleration voltage", "300000", "Acceleration voltage=300000 is not possible: it looks like V"),
        ("Acceleration voltage", "0.3", "it looks like MV"),
        ("Spherical aberration", "0.0027", "next to nothing: it looks like m"),
        ("Spherical aberration", "2.7e7", "it looks like Å"),
        ("Maximum resolution", "4e-10", "it looks like m"),
        ("Pixel size", "20", "Minimum resolution=30 Å is not possible: pixels of 20 Å show nothing finer than 40 Å "
                             "(give more than 40 Å)"),
        ("Pixel size", "30", "use images with smaller pixels"),
        ("Maximum defocus", "1e15", "Maximum defocus=1e+15 is not possible"),
        ("Minimum defocus", "-2e7", "Minimum defocus=-20000000 is not possible"),
    ],
)
def testAnswersThatNoMicroscopeHas(folder, monkeypatch, capsys, question, given, said):
    assert answer(monkeypatch, (question, given)) == 2
    assert said in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == ["image.mrc"]


def testSearchInMicrometres(folder, monkeypatch, capsys):
    assert answer(monkeypatch, ("Minimum defocus", "0.5"), ("Maximum defocus", "3.0")) == 2
    said = capsys.readouterr().out
    assert "Minimum and maximum defocus=3 is not possible: it looks like µm, the answer wants 10 to 1000000 Å" in said
    assert sorted(path.name for path in folder.iterdir()) == ["image.mrc"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: data[:-1000], "bytes instead of"),
        (lambda data: data[:1024] + b"\0" * (len(data) - 1024), "constant"),
        (lambda data: data[:2000] + b"\xff" * 4 + data[2004:], "not a number"),
        (lambda data: data[:500], "less than the 1024 of an MRC header"),
        (lambda data: b"no image at all" * 1000, "neither MRC nor TIFF nor EER"),  # noqa: ARG005
    ],
    ids=["truncated", "constant", "nan", "header", "text"],
)
def testSpoiltImages(folder, monkeypatch, capsys, spoil, reason):
    data = (folder / "image.mrc").read_bytes()
    (folder / "image.mrc").write_bytes(spoil(data))
    assert answer(monkeypatch) == 1
    said = capsys.readouterr().out
    assert re.search(rf"\nError: image\.mrc.*{reason}", said)
    assert not (folder / "out.txt").exists()


def testMovieAndStack(folder, monkeypatch, capsys):
    rng = np.random.default_rng(4)
    frames = np.stack([simulate() + rng.normal(0, 20, (768, 768)) for _ in range(5)]).astype(np.float32)
    with mrcfile.new(folder / "image.mrc", overwrite=True) as mrc:
        mrc.set_data(frames)
        mrc.set_image_stack()
    assert answer(monkeypatch, ("Input image file name", ["image.mrc", "yes", "2"])) == 0
    assert "num. frames averaged: 2" in (folder / "out_avrot.txt").read_text()
    (averaged,) = readRows(folder / "out.txt")
    assert averaged[1:4] == pytest.approx([15000, 14500, 35], abs=60)

    assert answer(monkeypatch, ("Input image file name", ["image.mrc", "no"])) == 0
    rows = readRows(folder / "out.txt")
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5]
    assert len(readRows(folder / "out_avrot.txt")) == 30
    assert mrcfile.read(folder / "out.mrc").shape == (5, 256, 256)
    assert "Micrograph 5 of 5" in capsys.readouterr().out
    assert averaged[5] > max(row[5] for row in rows)

    assert answer(monkeypatch) == 255  # a stack shifts the answers of a micrograph


def testEveryFurtherQuestion(folder, monkeypatch, capsys):
    mrcfile.write(folder / "image.mrc", simulate(1.0), overwrite=True)
    expert = ["yes", "no", "yes", "15000", "14500", "35", "1.0", "4"]
    changes = (
        ("Do you know what astigmatism is present?", "yes"),
        ("Slower, more exhaustive search?", ["yes", "500", "35"]),
        ("Use a restraint on astigmatism?", []),
        ("Find additional phase shift?", ["yes", "0.0", "3.15", "0.5"]),
    )
    assert answer(monkeypatch, *changes, options=("-j", "2")) == 0
    said = capsys.readouterr().out
    found = re.search(r"Additional phase shift          : (\S+) degrees \((\S+) radians\) \((\S+) PIf\)", said)
    assert found
    assert [float(value) for value in found.groups()] == pytest.approx([57.3, 1.0, 0.318], rel=0.06)
    asked = [line[:51].strip() for line in said.splitlines() if line[51:53] == ": "]
    assert asked[14:] == ["Known astigmatism", "Known astigmatism angle", "Find additional phase shift?",
                          "Minimum phase shift (rad)", "Maximum phase shift (rad)", "Phase shift search step",
                          "Do you want to set expert options?"]  # fmt: skip
    (row,) = readRows(folder / "out.txt")
    assert row[1] - row[2] == pytest.approx(500)

    assert answer(monkeypatch, *changes[3:], ("Use a restraint on astigmatism?", ["yes", "500"]),
                  ("Do you want to set expert options?", expert)) == 0
    (row,) = readRows(folder / "out.txt")
    assert row[1:5] == pytest.approx([15000, 14500, 35, 1.0])
    said = capsys.readouterr().out
    assert "Pixel size for fitting          : 1.000 Angstroms" in said
    for question in ("Expected (tolerated) astigmatism", "Resample micrograph if pixel size too small?",
                     "Do you already know the defocus?", "Known defocus 1", "Known defocus 2",
                     "Known phase shift (radians)", "Desired number of parallel threads"):  # fmt: skip
        assert question in said


def testOnATerminal(folder):
    child = pexpect.spawn(PROGRAM[0], PROGRAM[1:], cwd=str(folder), encoding="utf-8", timeout=600, echo=False)
    child.expect_exact("Mode : Interactive")
    for question, given in QUESTIONS:
        child.expect(re.escape(question) + r"\s+\[[^]]+\] *: ")
        if question == "Minimum resolution":
            child.sendline("60")  # asked again
            child.expect(r"outside of acceptable range.*Minimum resolution \[30.0\] +: ")
        child.sendline("" if given in ("no", "1.0", "300.0", "2.70", "0.07", "30.0", "5.0", "5000.0") else given)
    child.expect("Estimated defocus values        : 1[45]")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize(
    "options", [["-j", "2"], ["-j2"], ["-j2", "--fast"], ["--omp-num-threads", "2"], ["--omp-num-threads=2"]]
)
def testOptionsThatChangeNothing(options):
    ctffindcpu.checkOptions(options)


@pytest.mark.parametrize("options", [["-j"], ["-j0"], ["--omp-num-threads"], ["--omp-num-threads=x"],
                                     ["--omp-num-threadsx"], ["--amplitude-spectrum-input"]])  # fmt: skip
def testOptionsThatAreRefused(options):
    with pytest.raises(ctffindcpu.WrongAnswer):
        ctffindcpu.checkOptions(options)


@pytest.mark.parametrize(
    ("options", "code"), [(["--help"], 0), (["--version"], 0), (["--old-school-input"], 255), (["-j", "x"], 255)]
)
def testOptions(options, code, capsys):
    assert ctffindcpu.main(options) == code
    assert capsys.readouterr().out
