"""What the web pages' command lines ask for."""

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.cli.options import parseArguments
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.cli.options import constructCtffindParser, constructGctffindParser, constructGctfParser
from appion.motioncorrection.cli.options import constructMotionCorrectionParser
from appion.runjob.command import PROGRAMS, SCHEDULER, readRequest

RECORDED = (Path(__file__).parent.parent / "base" / "cli" / "data" / "commands.txt").read_text().splitlines()[1:]

PARSERS = {
    "makeDDAlignMotionCor2_UCSF.py": constructMotionCorrectionParser, "ctffind4.py": constructCtffindParser,
    "gctf.py": constructGctfParser, "makeDDAlignMotionCor3.py": constructMotionCorrectionParser,
    "motioncor2.py": constructMotionCorrectionParser, "motioncor3.py": constructMotionCorrectionParser,
    "ctffind5.py": constructCtffindParser, "gctffind.py": constructGctffindParser,
}  # fmt: skip

#: As the web's CTF pages build them.
CTF = (
    "runJob.py memcappion ctffind4.py --ampcontrast=0.07 --fieldsize=1024 --resmin=50 --resmax=4 --defstep=0.1 "
    "--numstep=25 --dast=0.05 --parallel --min_phase_shift=10 --max_phase_shift=170 --phase_search_step=10 "
    "--num_frame_avg=7 --runname=ctffind4run1 --rundir=/h1/u/appion/26mar19a/ctf/ctffind4run1 --preset=enn-a --commit "
    "--projectid=9 --session=26mar19a --no-rejects --no-wait --continue --bestdb --expid=75 --jobtype=ctfestimate "
    "--ppn=1 --nodes=1 --walltime=120 --cput=240 --queue=preprocessing --jobid=37",
    "runJob.py gctf.py --ampcontrast=0.07 --defstep=0.1 --dast=0.1 --resmin=50 --resmax=4 --fieldsize=1024 --do_EPA "
    "--mdef_aveN=7 --runname=gctfrun1 --rundir=/h1/u/appion/26mar19a/ctf/gctfrun1 --preset=enn-a --commit "
    "--projectid=9 --session=26mar19a --no-rejects --continue --bestdb --fastmode --expid=75 --jobtype=gctf --ppn=1 "
    "--nodes=1 --walltime=120 --queue=preprocessing --jobid=38",
    "runJob.py ctffind5.py --ampcontrast=0.07 --fieldsize=1024 --resmin=50 --resmax=4 --defstep=0.1 --numstep=25 "
    "--dast=0.05 --parallel --min_phase_shift=10 --max_phase_shift=170 --phase_search_step=10 --sample_tilt "
    "--sample_thickness --2D_refinement --low_resolution_nodes=30 --high_resolution_nodes=3 --num_frame_avg=7 "
    "--runname=ctffind5run1 --rundir=/h1/u/appion/26mar19a/ctf/ctffind5run1 --preset=enn-a --commit --projectid=9 "
    "--session=26mar19a --no-rejects --continue --bestdb --expid=75 --jobtype=ctfestimate --ppn=1 --nodes=1 "
    "--walltime=120 --queue=preprocessing --jobid=39",
    "runJob.py gctffind.py --ampcontrast=0.07 --fieldsize=1024 --parallel --min_phase_shift=10 --max_phase_shift=170 "
    "--runname=gctffindrun1 --rundir=/h1/u/appion/26mar19a/gctffind/gctffindrun1 --preset=enn-a --commit --projectid=9 "
    "--session=26mar19a --no-rejects --no-wait --continue --expid=75 --jobtype=ctfestimate --ppn=1 --nodes=1 "
    "--walltime=120 --queue=preprocessing --jobid=40",
)


def read(line, wrappers=()):
    return readRequest(shlex.split(line), wrappers)


#: The pages of today: the same lines with another name.
MOTIONCOR3 = [line.replace("makeDDAlignMotionCor2_UCSF.py", "makeDDAlignMotionCor3.py") for line in RECORDED]


def testEveryCommandHasAParser():
    assert set(PARSERS) == set(PROGRAMS)


@pytest.mark.parametrize("line", [*RECORDED, *MOTIONCOR3, *CTF])
def testEveryRecordedLineIsReadAndItsProgramTakesWhatIsLeft(line):
    words = shlex.split(line)[1:]
    request = readRequest(words)
    expected = [word for word in words if word.removeprefix("--").partition("=")[0] not in SCHEDULER]
    assert list(request.command) == expected
    assert request.runname == request.rundir.name
    assert request.options["queue"].startswith("preprocess")
    assert any(word.startswith("--jobtype=") for word in request.command)
    parser = PARSERS[request.program](request.program)
    args = parseArguments(parser, request.command[words.index(request.program) + 1 :])
    assert args.jobid == request.jobid


def testWrappersAreKeptUnlessTheJobIsToRunWithoutThem():
    line = "{} motioncor2.py --rundir=/r/d1 --session=a"
    program = ("motioncor2.py", "--rundir=/r/d1", "--session=a")
    assert read(line.format("/opt/wrap"), ["/opt/wrap"]).command == program
    assert read(line.format("/opt/wrap")).command == ("/opt/wrap", *program)
    container = ("apptainer", "exec", "--nv", "image.sif")
    assert read(line.format(shlex.join(container)), ["/opt/wrap"]).command == (*container, *program)


def testBothWaysOfWritingAValueAreTheSame():
    request = read("motioncor2.py --rundir /r/d1 --nodes 1 --jobid 5 --queue main --preset enn --jobtype=x --expId=7")
    assert request.command == ("motioncor2.py", "--rundir=/r/d1", "--jobid", "5", "--preset", "enn", "--jobtype=x",
                               "--expId=7")  # fmt: skip
    assert (request.jobid, request.runname, request.options["expid"]) == (5, "d1", "7")


def testRundirIsExpandedForTheJobAsWell(monkeypatch):
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("LAB", "/lab")
    assert read("motioncor2.py --outdir=~/d1").command[1] == "--rundir=/home/u/d1"
    assert read("motioncor2.py --rundir=$LAB/d1").rundir == Path("/lab/d1")
    assert read("motioncor2.py --rundir=d1").rundir == Path.cwd() / "d1"


def testAProgramOfOthersIsNotGivenTheJobRow():
    request = read("wrap makestack2.py --rundir=/r/d1 --jobid=5 --jobtype=makestack --ppn=4 --single=start.hed")
    assert request.command == ("wrap", "makestack2.py", "--rundir=/r/d1", "--single=start.hed")
    assert (request.program, request.jobid) == ("makestack2.py", 5)


def testNoCommitIsNoticed():
    assert read("motioncor2.py --rundir=/r/d1").commit
    assert not read("motioncor2.py --rundir=/r/d1 --commit --no-commit").commit


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "no program"),
        ("--rundir=/r", "no program"),
        ("motioncor2.py --session=a", "give --rundir"),
        ("motioncor2.py --rundir=/r --rundir=/s", "--rundir=/r and --rundir=/s contradict"),
        ("motioncor2.py --rundir=/r --ppn --nodes=1", "--ppn needs a value"),
        ("motioncor2.py --rundir=/r --jobid=12;ls", "--jobid=12"),
        ("motioncor2.py --rundir=/r --runname=../x", "--runname=../x"),
        ("motioncor2.py --rundir='/r\n#SBATCH --uid=0'", "cannot be printed"),
    ],
)
def testWhatIsWrongIsSaid(line, words):
    with pytest.raises(ConfigurationFailure, match=words.replace("(", r"\(")):
        read(line)


@given(st.lists(st.text().filter(lambda word: not word.startswith("--")), max_size=5))
def testOtherWordsArriveUnchanged(words):
    request = readRequest(["motioncor2.py", "--rundir=/r/d1", *(f"--description={word}" for word in words)])
    assert list(request.command[2:]) == [f"--description={word}" for word in words]
    assert os.fspath(request.rundir) == "/r/d1"
