"""The command lines of the web pages, units, checks and their messages."""

import pytest

from appion.base.cli.options import parseArguments
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.cli.options import constructCtffindParser, constructGctfParser, constructOptions
from appion.ctfestimation.records import CTFOptions, LocalRefinement, PhaseSearch

CTFFIND = """--ampcontrast=0.07 --fieldsize=1024 --resmin=50 --resmax=4 --defstep=0.1 --numstep=25 --dast=0.05
    --parallel --min_phase_shift=10 --max_phase_shift=170 --phase_search_step=10 --num_frame_avg=7
    --runname=ctffind4run1 --rundir=/d/appion/s/ctf/ctffind4run1 --preset=enn-a --commit --projectid=42 --session=s
    --no-rejects --no-wait --continue --bestdb --ddstackid=5 --expid=7 --jobtype=ctfestimate"""
GCTF = """--ampcontrast=0.07 --defstep=0.1 --dast=0.1 --resmin=50 --resmax=4 --fieldsize=1024 --do_EPA --mdef_aveN=7
    --runname=gctfrun1 --rundir=/d/appion/s/ctf/gctfrun1 --preset=enn-a --commit --projectid=42 --session=s
    --no-rejects --no-wait --continue --bestdb --ddstackid=5 --fastmode --expid=7 --jobtype=gctf"""
QUEUE = ["--ppn=1", "--nodes=1", "--walltime=24", "--cput=100", "--queue=low", "--jobid=3", "--remoterundir=/d"]
PARSERS = {"ctffind4.py": constructCtffindParser, "gctf.py": constructGctfParser}


def read(program, line):
    parser = PARSERS[program](program)
    args = parseArguments(parser, line.split() if isinstance(line, str) else line)
    return constructOptions(args, parser), parser, args


def test_webCommandLines():
    options, parser, args = read("ctffind4.py", CTFFIND.split() + QUEUE)
    assert options == CTFOptions(0.07, 1024, 50.0, 4.0, 1000.0, 25, 500.0, None, True, 5, 7)
    assert (args.wait, args.jobtype, args.preset, args.jobid) == (False, "ctfestimate", "enn-a", 3)
    assert [text for _, text in parser.messages] == [
        "--parallel has no effect here: one process shares the run out among its workers"
    ]
    options, parser, _ = read("gctf.py", GCTF.split() + QUEUE)
    assert options == CTFOptions(0.07, 1024, 50.0, 4.0, 1000.0, 25, 1000.0, None, True, 5, 7, epa=True, analyse=False)
    assert parser.messages == []


def test_defaults():
    assert read("ctffind4.py", "--session=s")[0] == CTFOptions()
    assert read("gctf.py", "--session=s")[0] == CTFOptions(
        resmax=4.0, defstep=500.0, dast=1000.0, frame_average=1, analyse=False
    )


def test_variantsOfTheWebPages():
    phase = PhaseSearch(10.0, 170.0, 10.0)
    assert read("ctffind4.py", CTFFIND + " --phase_plate")[0].phase == phase
    assert read("ctffind4.py", "--session=s --phaseplate --minphaseshift=20 --maxphaseshift=90 --phasestep=5")[
        0].phase == PhaseSearch(20.0, 90.0, 5.0)  # fmt: skip
    assert read("gctf.py", GCTF + " --phaseplate --min_phase_shift=10 --max_phase_shift=170 --phase_search_step=10")[
        0].phase == phase  # fmt: skip
    local = "--do_local_refine --local_raster=100 --local_radius=900 --local_boxsize=256 --local_overlap=0.25"
    options = read("gctf.py", f"{GCTF.replace('--fastmode', '--slowmode')} {local} --do_Hres_ref")[0]
    assert (options.analyse, options.hires_refine) == (True, True)
    assert options.local == LocalRefinement(100, 900, 256, 0.25)
    options = read("ctffind4.py", "--session=s --exhaustive-search --best-database --nominal=-1.5")[0]
    assert (options.exhaustive, options.bestdb, options.nominal) == (True, True, -15000.0)


def test_idleOptionsAreMentioned():
    parser = read("ctffind4.py", "--session=s --nominal=2 --bestdb --uncorrected")[1]
    text = "\n".join(text for _, text in parser.messages)
    assert "--bestdb has no effect together with --nominal" in text
    assert "--uncorrected has no effect here" in text
    parser = read("gctf.py", "--session=s --local_radius=900")[1]
    assert [text for _, text in parser.messages] == ["--local_radius has no effect without --do_local_refine"]


@pytest.mark.parametrize(
    ("program", "option", "said"),
    [
        ("both", "--resmin=50.1", "--resmin=50.1 is not possible .* higher resolution for resmin, between 10 and 50"),
        ("both", "--resmin=9.9", "lower resolution for resmin"),
        ("both", "--resmin=nan", "--resmin=nan"),
        ("both", "--resmax=15.1", "higher resolution for resmax"),
        ("both", "--resmin=10 --resmax=12", "--resmax=12 with --resmin=10"),
        ("both", "--resmin=10 --resmax=10", "--resmax=10"),
        ("both", "--resmax=0", "--resmax=0 is not possible"),
        ("both", "--defstep=1000", "keep defstep between 0.0001 and 2 microns"),
        ("both", "--defstep=0", "defstep"),
        ("both", "--ampcontrast=1.5", "--ampcontrast=1.5"),
        ("both", "--fieldsize=64", "--fieldsize=64 is not possible"),
        ("both", "--dast=0", "--dast=0"),
        ("both", "--numstep=0", "--numstep=0"),
        ("both", "--reprocess=2", "--reprocess=2"),
        ("both", "--nominal=0", "--nominal=0"),
        ("both", "--phaseplate --min_phase_shift=90 --max_phase_shift=80", "--max_phase_shift=80"),
        ("both", "--phaseplate --min_phase_shift=0 --max_phase_shift=90 --phase_search_step=91", "no search"),
        ("both", "--nominal=20000", "--nominal=20000 is not possible: it looks like Å, the option wants 0.001 to 100"),
        ("both", "--nominal=-2e-6", "--nominal=2e-06 is not possible: it looks like m"),
        ("both", "--nominal=inf", "--nominal=inf is not possible"),
        ("both", "--resmax=0.4", "--resmax=0.4 is not possible: it looks like nm"),
        ("both", "--ampcontrast=7", "--ampcontrast=7 is not possible: it looks like %"),
        ("both", "--ampcontrast=nan", "--ampcontrast=nan"),
        ("both", "--dast=5e-8", "--dast=5e-08 is not possible: it looks like m"),
        ("both", "--numstep=100000", "--numstep times --defstep"),
        ("ctffind4.py", "--num_frame_avg=0", "--num_frame_avg=0"),
        ("gctf.py", "--mdef_aveN=0", "--mdef_aveN=0"),
        ("gctf.py", "--do_local_refine --local_overlap=2", "--local_overlap=2"),
    ],
)
def test_whatIsWrongIsNamed(program, option, said):
    for one in PARSERS if program == "both" else (program,):
        with pytest.raises(ConfigurationFailure, match=said):
            read(one, f"--session=s {option}")
