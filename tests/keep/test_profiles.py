"""Profiles: what they may say, whom they are for, and that nothing out of a database is more than a value."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from appion.base.failures import ConfigurationFailure
from appion.keep.calc.matching import chooseProject, explainNone, findMismatch, findOther, listWants
from appion.keep.calc.profiles import parseProfiles
from appion.keep.calc.words import chooseRunName, fillWords
from appion.keep.records import MOTION, FoundRun, Preset, Session

ALL = {"name": "all", "commands": ["motioncor2.py --align"]}
ENN = Preset("enn", "Krios 1", "GatanK3", "tif", 1, 9, 0.0)


def parse(*tables, gpus=None, dealt=False):
    return parseProfiles(tables, "process", gpus, dealt)


def test_a_line_is_completed_by_what_tells_the_run():
    (profile,) = parse(ALL | {"microscope": "Krios*", "project": [3, 4], "runs": 2, "priority": -1, "idle": 60})
    assert profile.commands[0].words == (
        "--align", "--session={session}", "--projectid={project}", "--preset={preset}", "--runname={runname}",
        "--rundir={rundir}",
    )  # fmt: skip
    assert (profile.microscopes, profile.projects, profile.runs, profile.idle) == (("Krios*",), (3, 4), 2, 60.0)
    (profile,) = parse({"name": "ctf", "commands": [
        {"line": "ctffind4.py --preset='{preset}-a' --rundir=/data/{session}/ctf/{runname}", "gpus": 0},
        "motioncor2.py --gpuids=0,1",
    ]})  # fmt: skip
    assert profile.commands[0].words[:2] == ("--preset={preset}-a", "--rundir=/data/{session}/ctf/{runname}")
    assert [command.gpus for command in profile.commands] == [0, 2]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "number 1 is 3"),
        ({"commands": ["motioncor2.py"]}, "name is None"),
        (ALL | {"name": "a/b"}, "name is 'a/b'"),
        (ALL | {"micrscope": "K"}, "unknown word 'micrscope'.*did you mean microscope"),
        (ALL | {"commands": []}, r"commands is \[\]"),
        (ALL | {"commands": ["motioncor4.py"]}, "program 'motioncor4.py'.*did you mean motioncor"),
        (ALL | {"commands": ["motioncor2.py --align='"]}, "No closing quotation.*close the quotes"),
        (ALL | {"commands": ["motioncor2.py --preset={prest}"]}, r"\{prest\}.*did you mean preset"),
        (ALL | {"commands": ["motioncor2.py {session}"]}, r"write --OPTION=\{session\}"),
        (ALL | {"commands": ["motioncor2.py --x={"]}, r"--x=\{ .*there are \{session\}"),
        (ALL | {"commands": ["motioncor2.py --runname=ddstack1"]}, "--runname=ddstack1.*leave it out"),
        (ALL | {"commands": ["motioncor2.py --rundir=/data/x"]}, r"let it end in /\{runname\}"),
        (ALL | {"commands": ["motioncor2.py --session a"]}, "write --session=VALUE"),
        (ALL | {"commands": ["motioncor2.py --gpuids={gpuids}"]}, "write them into appion.keep.gpuids"),
        (ALL | {"commands": [{"line": "motioncor2.py", "gpus": 9}]}, "gpus is 9.*from 0 to 4"),
        (ALL | {"commands": [{"line": "motioncor2.py", "gpu": 1}]}, "unknown word 'gpu'.*did you mean gpus"),
        (ALL | {"format": "tiff"}, "format is 'tiff'.*did you mean tif"),
        (ALL | {"project": "42"}, "project is '42'.*list of project ids"),
        (ALL | {"preset": 7}, "preset is 7.*list of texts"),
        (ALL | {"runs": 0}, "runs is 0"),
        (ALL | {"idle": -1}, "idle is -1"),
        (ALL | {"start": "sytemd"}, "start is 'sytemd'.*did you mean systemd"),
    ],
)
def test_what_cannot_be_is_named_with_place_value_and_remedy(table, message):
    with pytest.raises(ConfigurationFailure, match=message):
        parse(table, gpus=4)


def test_the_example_of_the_guide_is_one():
    guide = (Path(__file__).parents[2] / "docs" / "administrator.md").read_text()
    example = re.search(r"```yaml\n(appion:\n  keep:\n.*?)```", guide, re.DOTALL)[1]
    profiles = parseProfiles(yaml.safe_load(example)["appion"]["keep"]["profiles"], "process", 4, True)
    assert [(profile.name, len(profile.commands)) for profile in profiles] == [("krios", 2), ("screening", 1)]


def test_two_profiles_of_one_name_are_refused():
    with pytest.raises(ConfigurationFailure, match="two are called all"):
        parse(ALL, ALL)


def test_the_first_profile_that_fits_counts_for_each_preset():
    profiles = parse(
        ALL | {"name": "one", "preset": "e?n", "microscope": "krios*"}, ALL | {"name": "two", "camera": "GatanK3"},
        ALL | {"name": "three"},
    )  # fmt: skip
    other = Preset("fcn", "Glacios", "GatanK3", "tif", 3, 4, 0.0)
    session = Session(7, "26nov27a", "/leginon", "", (1,), False, (ENN, other))
    assert [(want.preset.name, want.profile.name) for want in listWants(profiles, session)] == [
        ("enn", "one"), ("fcn", "two")
    ]  # fmt: skip
    assert findMismatch(profiles[0], session, other) == "microscope Glacios is none of krios*"
    assert explainNone(profiles[:1], Session(7, "x", "", "", (), False, (other,)))[0] == "one"
    assert explainNone(profiles, Session(7, "x", "", "")) == ("", "no exposure with a movie")


def test_results_go_to_the_only_project_that_may_be_meant():
    some, = parse(ALL | {"project": [2, 3]})
    every, = parse(ALL)
    session = Session(7, "x", "", "", (4, 3))
    assert (chooseProject(some, session), chooseProject(every, session)) == (3, None)


def test_runs_of_persons_are_found_by_session_preset_and_step():
    (profile,) = parse(ALL)
    want, = listWants([profile], Session(7, "x", "", "", (1,), False, (ENN,)))
    runs = [FoundRun(7, "ctf", "enn", "/a", "ctf1"), FoundRun(8, MOTION, "enn", "/b", "b"),
            FoundRun(7, MOTION, "esn", "/c", "c"), FoundRun(7, MOTION, "enn", "/own", "d")]  # fmt: skip
    assert findOther(runs, want, "enn", ["/own"]) is None
    assert findOther(runs, want, "enn", []) == runs[3]
    unknown = FoundRun(7, MOTION, None, "/e", "e")
    assert findOther([*runs, unknown], want, "enn", ["/own"]) == unknown


def test_run_names_are_numbered_as_the_web_pages_do_it():
    assert chooseRunName("ddstack", []) == "ddstack1"
    assert chooseRunName("ddstack", ["ddstack1", "ddstack7", "ddstack10x", "xddstack99", "ctffind4run12"]) == "ddstack8"


@given(st.text(), st.text())
def test_what_stands_in_a_database_stays_one_value_or_is_refused(session, preset):
    """It is the end of one word, begins no option, and a shell would read it as it is."""
    try:
        words = fillWords(["--session={session}", "--preset={preset}", "--gpuids={gpuids}"],
                          {"session": session, "preset": preset})  # fmt: skip
    except ConfigurationFailure:
        assert any(value.startswith("-") or not value.isascii() or set(value) & set(" \n\t\"'`$;&|<>(){}[]*?!#~%^\\\0")
                   or not value.isprintable() for value in (session, preset))  # fmt: skip
        return
    assert words == [f"--session={session}", f"--preset={preset}", "--gpuids={gpuids}"]
    assert shlex.split(" ".join(words[:2])) == words[:2]
