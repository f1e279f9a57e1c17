"""The program's command line: for real exposures what classic gave, for made-up ones the rules."""

import json

import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.records.program import Program
from appion.motioncorrection.calc.external.command import (
    constructInputName,
    constructIntFile,
    constructMotionCorCmd,
    constructOutputName,
)
from appion.motioncorrection.cli.main import main
from tests.motioncorrection.exposures import constructArguments, loadExposures, readExposures
from tests.motioncorrection.samples import makeOptions, makeParams

#: Flags that are classic's own business: a dark of zeros, names of its own files.
ASIDE = {"Dark", "OutMrc", "DefectMap"}


def readFlags(argv):
    """Return the flags of a command line and their values, separated by spaces."""
    flags = {}
    for word in argv[1:]:
        if word.startswith("-") and not word[1:2].isdigit():
            flags[word[1:]] = []
            values = flags[word[1:]]
        else:
            values.append(word)
    return {name: " ".join(values) for name, values in flags.items()}


def readFiles(folder):
    """Return all files and folders but SQLite's own, which come and go as a database is opened and closed."""
    return sorted(path for path in folder.rglob("*") if not path.name.endswith(("-shm", "-wal")))


@pytest.mark.parametrize("kind", ["sqlitedatabase", "classicdatabase"])
def test_realExposuresGetClassicsFlags(kind, request, tmp_path, capsys, monkeypatch):
    database = request.getfixturevalue(kind)
    loadExposures(database.projectid)
    program = tmp_path / "motioncor2"
    program.write_text("#!/bin/sh\necho MotionCor2 version 1.5.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    before = readFiles(tmp_path)
    for exposure in readExposures():
        rundir = tmp_path / "appion" / "ddstack1"
        argv = [*constructArguments(exposure, database.projectid, rundir), "--dry-run"]
        assert main(argv) == 0
        printed = capsys.readouterr()
        lines = [json.loads(line) for line in printed.out.splitlines()]
        assert [line["image_id"] for line in lines] == [exposure["image_id"]]
        flags, classic = readFlags(lines[0]["argv"]), exposure["classic_motioncor2_flags"]
        assert {name: value for name, value in flags.items() if name not in ASIDE} == {
            name: value for name, value in classic.items() if name not in ASIDE | {"Gain"}
        } | {"Gain": flags["Gain"]}
        norm = next(row["MRC|image"] for table, row in exposure["rows"] if table == "NormImageData")
        assert flags["Gain"].endswith(f"/rawdata/{norm}")
        assert ("DefectMap" in flags) == ("DefectMap" in classic)
        assert [name.rpartition("/")[2] for name in lines[0]["outputs"]][-1].endswith("_st_Log.motioncor2.txt")
        assert "is not there" in printed.err
    assert readFiles(tmp_path) == before, "nothing is written"


def constructCommand(params, **kwargs):
    intfile = "intfile.txt" if constructIntFile(params) else ""
    return constructMotionCorCmd(params, constructInputName(params), constructOutputName(params), intfile, **kwargs)


def test_everyOptionInOrder():
    params = makeParams(
        movie="/frames/a.frames.eer", movie_format="eer", nframes=1539, totaldose=49.7, pixelsize=0.7265, gain="/g.mrc",
        dark="/d.mrc", defect_map="/m.mrc", frame_flip=True, frame_rotate=1,
        options=makeOptions(
            bin=2.0, startframe=39, nframe=1400, nrw=3, fmref=4, patchrows=5, patchcols=7, maskcentrow=1, maskcentcol=2,
            bft_local=0, rendered_frame_size=100, eer_sampling=2, gpuids=(2, 3), doseweight=True,
        ),
    )
    assert " ".join(constructCommand(params)) == (
        "/opt/motioncor2 -InEer /frames/a.frames.eer -OutMrc image_00012enn_c.mrc -FtBin 4.0 -Bft 500 0 -Throw 1"
        " -Trunc 1 -Iter 7 -Tol 0.500 -Patch 7 5 -Group 3 -FmRef 4 -MaskCent 2 1 -MaskSize 1.000 1.000"
        " -FmIntFile intfile.txt -FmDose 3.229 -PixSize 0.363 -kV 300 -Dark /d.mrc -Gain /g.mrc -DefectMap /m.mrc"
        " -FlipGain 1 -RotGain 1"
        " -Gpu 2 -EerSampling 2"
    )
    assert readFlags(constructCommand(params, gpu="7"))["Gpu"] == "7"


def test_eerUpsampling():
    """Sampling 3 is four times the camera's pixels: binning, pixel size and shifts all follow."""
    flags = readFlags(constructCommand(makeParams(
        movie_format="eer", nframes=100, pixelsize=1.0, options=makeOptions(eer_sampling=3, rendered_frame_size=10,
                                                                            doseweight=True))))
    assert (flags["FtBin"], flags["PixSize"], flags["EerSampling"]) == ("4.0", "0.250", "3")


def test_noDoseNoWeighting():
    for params in (makeParams(totaldose=None, options=makeOptions(doseweight=True)), makeParams(totaldose=50.0)):
        assert not {"FmDose", "PixSize", "kV"} & set(readFlags(constructCommand(params)))
    eer = makeParams(movie_format="eer", nframes=60, totaldose=None,
                     options=makeOptions(doseweight=True, rendered_frame_size=20))
    assert "PixSize" not in readFlags(constructCommand(eer))
    assert constructIntFile(eer) == "60\t20\t0.030000\n"


@pytest.mark.parametrize(("dose", "text"), [(10.91, "1.091"), (0.323, "0.032"), (0.005, "0.001"), (0.0034, "0.00034")])
def test_aSmallDoseIsNotRoundedToNone(dose, text):
    flags = readFlags(constructCommand(makeParams(totaldose=dose, options=makeOptions(doseweight=True))))
    assert flags["FmDose"] == text


def test_renderedFramesOfAnyFormat():
    params = makeParams(nframes=45, totaldose=45.0, options=makeOptions(rendered_frame_size=10, doseweight=True))
    flags = readFlags(constructCommand(params))
    assert (flags["FmIntFile"], flags["FmDose"]) == ("intfile.txt", "10.000")
    assert "EerSampling" not in flags
    assert constructIntFile(params) == "5\t5\t1.000000\n40\t10\t1.000000\n"


def test_motioncor3():
    params = makeParams(program=Program("motioncor3", "/opt/motioncor3", "1.1.2"))
    flags = readFlags(constructCommand(params))
    assert flags["Cs"] == "0"
    assert not {"MaskSize", "MaskCent"} & set(flags)


def test_darkOnlyWithGain():
    assert "Dark" not in readFlags(constructCommand(makeParams(dark="/d.mrc")))


def test_pathsThatAProgramWouldCut():
    params = makeParams(movie="/" + "x" * 250 + ".frames.tif", movie_format="tif")
    assert readFlags(constructCommand(params))["InTiff"] == "image_00012enn_st.tif"
    with pytest.raises(ConfigurationFailure, match="-Gain"):
        constructCommand(makeParams(gain="/" + "x" * 250))
