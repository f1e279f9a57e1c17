"""Classic command lines: what is accepted, what is refused, and with which words."""

import logging
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.cli.options import addSwitch, constructParser, parseArguments
from appion.motioncorrection.cli.options import constructMotionCorrectionParser

COMMANDS = [shlex.split(line) for line in (Path(__file__).parent / "data" / "commands.txt").read_text().splitlines()
            if not line.startswith("#")]


@pytest.fixture
def parser():
    return constructParser("program.py")


def parse(parser, line):
    return parseArguments(parser, shlex.split(line))


def refuse(parser, capsys, line):
    with pytest.raises(SystemExit) as stopped:
        parse(parser, line)
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    return err


@pytest.mark.parametrize("command", COMMANDS)
def test_recorded_commands_are_read(command):
    parser = constructMotionCorrectionParser("motioncor2.py")
    words = command[command.index("makeDDAlignMotionCor2_UCSF.py") + 1:]
    args = vars(parseArguments(parser, words))
    assert args["runname"] == "ddstack1"
    assert args["rundir"].endswith("/ddstack1")
    assert args["jobtype"] == "makeddrawframestack"
    assert (args["commit"], args["continue"], args["norejects"], args["parallel"], args["wait"]) == (True,) * 5
    assert f"--jobid={args['jobid']}" in words
    assert f"--session={args['sessionname']}" in words
    assert f"--expid={args['expid']}" in words
    assert [level for level, _ in parser.messages] == [logging.INFO], "one line, for --parallel"


def test_defaults_are_those_of_classic(parser):
    args = vars(parse(parser, "--jobtype=x --session=s"))
    assert {dest for dest, value in args.items() if value is True} == {"commit", "continue", "wait"}
    assert args["tiltangle"] == "all"
    for dest in ("runname", "rundir", "projectid", "expid", "preset", "mrcnames", "limit", "startimgid", "endimgid",
                 "description", "nproc", "jobid"):
        assert args[dest] is None


def test_both_forms_of_a_value_and_short_names(parser):
    long = parse(parser, "--session=s --projectid=3 --rundir=/a --commit --description='two words'")
    assert parse(parser, "--session s --projectid 3 --outdir /a --commit --description 'two words'") == long
    assert parse(parser, "-s s -p3 -R /a -Cd 'two words'") == long


def test_a_value_may_look_like_an_option(parser):
    assert parse(parser, "--description --nothing -s x").description == "--nothing"


def test_a_description_may_be_latin1(parser):
    assert parse(parser, "--session=s --description=\udcc5ngstr\udcf6m").description == "Ångström"
    assert parse(parser, "--session=s --description=Ångström").description == "Ångström"


def test_unique_beginnings_stand_for_the_option(parser, capsys):
    args = parse(parser, "--sess=s --mrc=a --pres=enn --lim=3 --jobt=x")
    assert (args.sessionname, args.mrcnames, args.preset, args.limit, args.jobtype) == ("s", "a", "enn", 3, "x")
    assert parse(parser, "--d=text").description == "text", "new options never make a classic one ambiguous"
    assert parse(parser, "--expI=3").expid == 3
    assert "--preset, --projectid" in refuse(parser, capsys, "--pr=enn")


@pytest.mark.parametrize(("line", "words"), [
    ("--nothing=3", "--nothing"),
    ("--session=s leftover", "leftover"),
    ("--session=s -- x", "--"),
    ("--limit=many", "many"),
    ("--tiltangle=up --session=s", "up"),
    ("--commit=yes", "yes"),
    ("--session", "--session needs a value"),
    ("--reprocess=3", "--reprocess"),
    ("-q", "-q"),
])
def test_what_is_wrong_is_named(parser, capsys, line, words):
    assert words in refuse(parser, capsys, line)


@pytest.mark.parametrize(("line", "hint"), [
    ("--sesion=s", "unknown option --sesion; did you mean --session? (see program.py --help)"),
    ("--no-comit --session=s", "unknown option --no-comit; did you mean --no-commit?"),
    ("-runname=r", "unknown option -r; did you mean --runname?"),
    ("--zebra=3", "unknown option --zebra (see program.py --help)"),
    ("-q", "unknown option -q (see program.py --help)"),
])
def test_the_nearest_option_is_named(parser, capsys, line, hint):
    assert refuse(parser, capsys, line).startswith(f"error: {hint}")


@pytest.mark.parametrize("line", ["", "--jobtype=makeddrawframestack"])
def test_no_options_shows_the_help(parser, capsys, line):
    assert "--startimgid" in refuse(parser, capsys, line)


def test_help_is_grouped_and_shows_defaults(parser, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(parser, "--help")
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("images:", "order and end:", "(default: all)", "in degrees"):
        assert words in text


values = st.integers(0, 3)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=4))
def test_an_option_may_be_repeated_with_one_value_only(limits):
    parser = constructParser("program.py")
    line = [f"--limit={limit:0{1 + index}d}" for index, limit in enumerate(limits)]
    if len(set(limits)) == 1:
        assert parseArguments(parser, line).limit == limits[0]
    else:
        with pytest.raises(SystemExit) as stopped:
            parseArguments(parser, line)
        assert stopped.value.code == 2


def test_both_of_two_values_are_named(parser, capsys):
    error = refuse(parser, capsys, "--rundir=/a/b --session=s --outdir=/c/b")
    assert "--rundir=/a/b" in error
    assert "--outdir=/c/b" in error


def test_one_folder_may_be_spelled_twice(parser):
    assert parse(parser, "--session=s --rundir=/a/b/ --outdir=/a/b").rundir == "/a/b"


def test_the_last_of_two_opposites_counts(parser):
    assert parse(parser, "--commit --no-commit").commit is False
    assert "--no-commit overrides --commit" in parser.messages[0][1]
    assert parse(parser, "--no-commit --commit -C").commit is True


def test_an_option_without_effect_says_so_once(parser):
    parse(parser, "--nproc=4 --nproc=4 --session=s")
    assert len(parser.messages) == 1
    assert parser.messages[0][1].startswith("--nproc has no effect here: ")


@pytest.mark.parametrize("switch", ["--clean", "--no-clean"])
def test_switches_of_earlier_programs_are_accepted(switch):
    parser = constructMotionCorrectionParser("motioncor2.py")
    parseArguments(parser, ["--session=x", switch])
    assert [text for _, text in parser.messages] == [f"{switch} has no effect here: scratch files are always removed"]


def test_a_step_adds_its_switches(parser):
    addSwitch(parser.add_argument_group("movie"), "keepstack", "keepstack", True, on="keep", off="do not keep")
    assert parse(parser, "--no-keepstack").keepstack is False
