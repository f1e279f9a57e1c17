"""Tilt and thickness of the sample: options under both names, questions, results, columns."""

import logging

import pytest
from django.db import connections

from appion.base.cli.options import parseArguments
from appion.base.cli.script import constructParameters
from appion.base.failures import ConfigurationFailure
from appion.base.records.program import Program
from appion.base.store.path import savePathData
from appion.ctfestimation.calc.external import calcCTF, constructAnswers
from appion.ctfestimation.calc.external.prompts import findAnswer
from appion.ctfestimation.calc.internal.numbers import calcNumbers
from appion.ctfestimation.cli.options import constructCtffindParser, constructOptions
from appion.ctfestimation.cli.sampleoptions import selectSampleOptions
from appion.ctfestimation.records import ComputedCTF, CTFOptions, PhaseSearch, ThicknessSearch
from appion.ctfestimation.store.result import storeResult
from appion.ctfestimation.store.run import checkTables, constructRunParams, saveCTFRun
from sinedon.live import readLiveTables
from sinedon.models import appiondata
from tests.ctfestimation.micrographs import makeOrigin, makeParams
from tests.ctfestimation.test_external import makeExposure, nopictures, place  # noqa: F401
from tests.ctfestimation.test_rows import makeComputed
from tests.services.sessions import makeSession

PHASE = PhaseSearch(10.0, 170.0, 10.0)
FIVE = Program("ctffind", "/opt/ctffind5", "5.0.2")
NODES = ThicknessSearch(brute_force=True, refine=True, low=25.0, high=4.0, rounded=True, downweight=True)


def read(program, line):
    parser = constructCtffindParser(program)
    args = parseArguments(parser, ["--session=s", *line.split()])
    return args, parser


@pytest.mark.parametrize("program", ["ctffind4.py", "ctffind5.py"])
def test_bothSpellingsMeanTheSame(program):
    short = "--tilt --thickness --bruteforce --2D_refine --lowres=25 --hires=4 --rounded --downweight --acerun"
    long = (
        "--sample_tilt --sample_thickness --brute_force_1D --2D_refinement --low_resolution_nodes=25"
        " --high_resolution_nodes=4 --rounded_square --downweight-nodes --run-ace-ctf"
    )
    for line in (short, long):
        args, parser = read(program, line)
        options = constructOptions(args, parser)
        assert (options.tilt, options.thickness) == (True, NODES)
        parameters = constructParameters(args, parser)
        names = ("sample_tilt", "2D_refinement", "low_res_nodes", "hi_res_nodes", "downweight_nodes", "acerun")
        assert [parameters[name] for name in names] == [
            ("True", "--sample_tilt"), ("True", "--2D_refinement"), ("25.0", "--low_resolution_nodes=25.0"),
            ("4.0", "--high_resolution_nodes=4.0"), ("True", "--downweight-nodes"), ("True", "--run-ace-ctf"),
        ]  # fmt: skip
        assert set(parameters) & parser.shaping >= set(names) - {"acerun"}
    args, parser = read(program, "")
    assert "sample_tilt" not in constructParameters(args, parser)
    assert constructParameters(args, parser)["low_res_nodes"] == ("30.0", "--low_resolution_nodes=30.0")
    assert (constructOptions(args, parser).tilt, constructOptions(args, parser).thickness) == (False, None)


@pytest.mark.parametrize(
    ("program", "word", "dest"),
    [
        ("ctffind5.py", "--ace", "acerun"), ("ctffind5.py", "--thick", "sample_thickness"),
        ("ctffind5.py", "--lowr=20", "low_res_nodes"), ("ctffind5.py", "--brutef", "brute_force_1D"),
        ("ctffind5.py", "--tilt", "sample_tilt"), ("ctffind5.py", "--tilta=all", "tiltangle"),
        ("ctffind4.py", "--tilt", "sample_tilt"), ("ctffind4.py", "--tilt=notilt", "tiltangle"),
        ("ctffind4.py", "--til=all", "tiltangle"), ("ctffind4.py", "--a=0.1", "ampcontrast"),
        ("ctffind4.py", "--l=3", "limit"),
    ],
)  # fmt: skip
def test_abbreviations(program, word, dest):
    assert list(read(program, word)[1].given)[1:] == [dest]


@pytest.mark.parametrize(
    ("program", "word", "said"),
    [
        ("ctffind5.py", "--til=all", "--til could be any of --tilt, --tiltangle"),
        ("ctffind5.py", "--tilt=3", "--tilt takes no value, got '3'"),
        ("ctffind5.py", "--tilt=all", "--tilt takes no value, got 'all'"),
        ("ctffind4.py", "--tilt=3", "invalid choice: '3'"),
        ("ctffind5.py", "--sample_tilt=all", "takes no value"),
        ("ctffind4.py", "--sample_tilt=all", "takes no value"),
        ("ctffind5.py", "--a=0.1", "could be any of"),
    ],
)
def test_whatIsRefused(program, word, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        read(program, word)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_limitsOfNodes(value):
    args, parser = read("ctffind5.py", f"--lowres={value}")
    with pytest.raises(ConfigurationFailure, match="--lowres="):
        constructOptions(args, parser)


def test_idleNodesAreMentioned():
    args, parser = read("ctffind5.py", "--2D_refinement --low_resolution_nodes=30 --run-ace-ctf")
    constructOptions(args, parser)
    assert parser.messages == [
        (logging.INFO, "--run-ace-ctf has no effect here: the analysis that it asks for is always made"),
        (logging.INFO, "no effect without --sample_thickness: --2D_refinement, --low_resolution_nodes"),
    ]


@pytest.mark.parametrize(
    ("kind", "version", "phase", "allowed", "kept", "said"),
    [
        ("ctffind", "5.0.2", None, True, (True, True), "about 16 times as long"),
        ("ctffind", "", None, True, (True, True), "about 16 times as long"),
        ("ctffind", "5.0.2", PHASE, True, (False, True), "no effect together with --phase_plate"),
        ("ctffind", "5.0.2", None, False, (False, True), "the setting ctffind.tilt switches it off"),
        ("ctffind", "4.1.14", None, True, (False, False), "--sample_tilt and --sample_thickness: no effect"),
        ("ctffind-cpu", "1.0", None, True, (False, False), "no effect with ctffind-cpu"),
    ],
)  # fmt: skip
def test_whatAProgramCannotFindCostsOneLine(kind, version, phase, allowed, kept, said):
    asked = CTFOptions(tilt=True, thickness=NODES, phase=phase)
    options, lines = selectSampleOptions(asked, Program(kind, "/opt/x", version), allowed)
    assert (options.tilt, options.thickness is not None) == kept
    assert len(lines) == 1
    assert said in lines[0][1]
    assert selectSampleOptions(CTFOptions(), Program(kind, "/opt/x", version), allowed) == (CTFOptions(), [])


def test_answersInTheOrderOfTheQuestions():
    answers = constructAnswers(makeParams(program=FIVE, tilt=True, thickness=NODES))
    assert list(answers.items())[-9:] == [
        ("Determine sample tilt?", "yes"), ("Determine samnple thickness?", "yes"),
        ("Use brute force 1D search?", "yes"), ("Use 2D refinement?", "yes"),
        ("Low resolution limit for nodes", "25.0"), ("High resolution limit for nodes", "4.0"),
        ("Use rounded square for nodes?", "yes"), ("Downweight nodes?", "yes"),
        ("Do you want to set expert options?", "no"),
    ]  # fmt: skip
    answers = constructAnswers(makeParams(program=FIVE, thickness=ThicknessSearch(), phase=PHASE))
    assert "Determine sample tilt?" not in answers
    assert [answers[text] for text in ("Determine samnple thickness?", "Use 2D refinement?")] == ["yes", "no"]
    answers = constructAnswers(makeParams(program=FIVE))
    assert list(answers.values())[-3:] == ["no", "no", "no"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Weight down low resolution signal?", "yes"), ("If initial tilt statistics is known?", "no"),
        ("Known tilt axis?", "no"), ("Known tilt axis", "0.0"), ("Known tilt angle", "0.0"),
        ("Do you already know the tilt-geometry?", "no"),
    ],
)  # fmt: skip
def test_whatOtherBuildsAsk(text, answer):
    assert findAnswer(makeParams(tilt=True), text) == answer


def findSample(result):
    names = ("tilt_axis_angle", "tilt_angle", "thickness")
    return {name: calcNumbers(ComputedCTF(makeOrigin(), result))[name] for name in names}


@pytest.mark.usefixtures("nopictures")
def test_tiltAndThicknessAsAskedFor(place, monkeypatch):  # noqa: F811
    monkeypatch.setenv("VERSION", "5.0.1")
    result = calcCTF(makeExposure(place, tilt=True, thickness=NODES))
    assert (result.tilt_axis_angle, result.tilt_angle, result.thickness) == (10.35, 12.5, 841.41)
    found = {"tilt_axis_angle": 10.35, "tilt_angle": 12.5, "thickness": 841.41}
    assert findSample(result) == found
    assert dict(result.answers)["Low resolution limit for nodes"] == "25.0"
    nothing = calcCTF(makeExposure(place))
    assert (nothing.tilt_axis_angle, nothing.tilt_angle, nothing.thickness) == (None, None, None)
    assert set(findSample(nothing).values()) == {None}
    with_phase = calcCTF(makeExposure(place, thickness=NODES, phase=PHASE))
    assert (with_phase.tilt_angle, with_phase.thickness) == (None, 841.41)
    assert "Determine sample tilt?" not in dict(with_phase.answers)


@pytest.mark.usefixtures("nopictures")
def test_whatIsNotFoundOfTheSampleIsSaid(place, monkeypatch):  # noqa: F811
    monkeypatch.setenv("VERSION", "5.0.1")
    for fault, tilt, thickness, said in (
        ("thin", 12.5, None, "found no thickness of the sample: -35 Å is none"),
        ("huge", 12.5, None, "found no thickness of the sample"),
        ("tilted", None, 841.41, "gave no tilt"),
        ("eight", None, None, "gave no tilt"),
    ):
        monkeypatch.setenv("FAULT", fault)
        result = calcCTF(makeExposure(place, tilt=True, thickness=ThicknessSearch()))
        assert (result.tilt_angle, result.thickness) == (tilt, thickness), fault
        assert said in " ".join(result.warnings)


@pytest.mark.usefixtures("nopictures")
def test_aBuildThatAsksMoreAboutTheTilt(place, monkeypatch):  # noqa: F811
    monkeypatch.setenv("VERSION", "5.0.1")
    monkeypatch.setenv("BUILD", "other")
    result = calcCTF(makeExposure(place, tilt=True))
    assert dict(result.answers)["If initial tilt statistics is known?"] == "no"
    assert result.tilt_angle == 12.5


def store(**changes):
    made = makeSession(images=1)
    run = saveCTFRun(made.session_id, "ctf1", savePathData("/d/ctf1"), constructRunParams(CTFOptions(), 2.7, "ctffind"))
    storeResult(makeComputed(makeOrigin(image_id=made.image_ids[0]), **changes), run)
    return appiondata.ApCtfData.objects.get()


@pytest.mark.usefixtures("anydatabase")
@pytest.mark.parametrize(
    ("found", "stored"),
    [
        ({"tilt_angle": 12.5, "tilt_axis_angle": 10.35}, (12.5, 10.35)),
        ({"tilt_angle": 0.0, "tilt_axis_angle": 0.0}, (0.0, 0.0)),
        ({"tilt_angle": float("inf"), "tilt_axis_angle": 10.35}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_columnsOfTheTilt(found, stored):
    row = store(**found, thickness=841.41)
    assert (row.tilt_angle, row.tilt_axis_angle) == stored


@pytest.mark.usefixtures("database")
def test_aTableWithoutThemIsNoReasonToStop():
    with connections["appiondata"].cursor() as cursor:
        for column in ("tilt_angle", "tilt_axis_angle"):
            cursor.execute(f"ALTER TABLE ApCtfData DROP COLUMN {column}")
    readLiveTables("appiondata")
    params = constructRunParams(CTFOptions(), 2.7, "ctffind")
    assert checkTables(params, tilt=True) == ["ApCtfData.tilt_angle", "ApCtfData.tilt_axis_angle"]
    assert checkTables(params) == []
    assert store(tilt_angle=12.5, tilt_axis_angle=10.35).defocus1 == 1.5e-6
