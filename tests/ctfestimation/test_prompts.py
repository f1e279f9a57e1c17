"""Questions are known by their text, however they are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.failures import ImageFailure
from appion.base.records.program import Program
from appion.ctfestimation.calc.external.prompts import (
    Prompt,
    constructAnswers,
    findAnswer,
    findPrompt,
    formatNumber,
    identifyQuestion,
)
from appion.ctfestimation.records import PhaseSearch
from tests.ctfestimation.micrographs import makeParams

PHASE = PhaseSearch(10.0, 170.0, 10.0)


def makeProgram(version, kind="ctffind"):
    return Program(kind, "/opt/ctffind", version)


def test_answersOfPlainMicrograph():
    assert constructAnswers(makeParams()) == {
        "Input image file name": "26nov22a_02gr_012enn-a.mrc",
        "Output diagnostic image file name": "26nov22a_02gr_012enn-a-pow.mrc",
        "Pixel size": "1.06",
        "Acceleration voltage": "300.0",
        "Spherical aberration": "2.7",
        "Amplitude contrast": "0.07",
        "Size of amplitude spectrum to compute": "512",
        "Minimum resolution": "50.0",
        "Maximum resolution": "4.0",
        "Minimum defocus": "1000.0",
        "Maximum defocus": "40000.0",
        "Defocus search step": "1000.0",
        "Do you know what astigmatism is present?": "no",
        "Slower, more exhaustive search?": "no",
        "Use a restraint on astigmatism?": "yes",
        "Expected (tolerated) astigmatism": "500.0",
        "Find additional phase shift?": "no",
        "Do you want to set expert options?": "no",
    }


@pytest.mark.parametrize(
    ("version", "phase", "count"),
    [("4.0.17", None, 14), ("4.0.17", PHASE, 17), ("4.1.14", None, 18), ("4.1.14", PHASE, 21), ("5.0.1", None, 20),
     ("5.0.1", PHASE, 22), ("", None, 20)],
)  # fmt: skip
def test_numberOfQuestions(version, phase, count):
    assert len(constructAnswers(makeParams(program=makeProgram(version), phase=phase))) == count


def test_answersOfMovieAndPhaseSearch():
    answers = constructAnswers(makeParams(input="/frames/a.mrc", is_movie=True, frame_average=7, phase=PHASE))
    assert list(answers.items())[:4] == [
        ("Input image file name", "26nov22a_02gr_012enn-a.mrc"),
        ("Input is a movie (stack of frames)", "yes"),
        ("Number of frames to average together", "7"),
        ("Output diagnostic image file name", "26nov22a_02gr_012enn-a-pow.mrc"),
    ]
    assert answers["Minimum phase shift (rad)"] == "0.174533"
    assert answers["Maximum phase shift (rad)"] == "2.96706"
    assert answers["Phase shift search step"] == "0.174533"
    eer = constructAnswers(makeParams(input="/frames/a.eer", is_movie=True))
    assert "Input is a movie (stack of frames)" not in eer
    assert eer["Input image file name"] == "26nov22a_02gr_012enn-a.eer"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Known astigmatism", "0.0"),
        ("Known astigmatism angle", "0.0"),
        ("Known astigmatism angle (degrees)", "0.0"),
        ("Minimum phase shift (degrees)", None),
        ("Minimum defocus (um)", None),
        ("Determine samnple thickness?", "no"),
        ("Determine sample thickness?", "no"),
        ("Determine sample tilt?", "no"),
        ("Resample micrograph if pixel size too small?", "yes"),
        ("Do you already know the defocus?", "no"),
        ("Desired number of parallel threads", "1"),
        ("EXPECTED (tolerated)  astigmatism", "500.0"),
        ("Minimum phase shift", "0.174533"),
        ("Maximum phase shift (radians)", "2.96706"),
        ("Output diagnostic filename", "26nov22a_02gr_012enn-a-pow.mrc"),
        ("Size of power spectrum to compute", "512"),
        ("Pixel size (A)", "1.06"),
        ("Pixel size for fitting", None),
        ("Expected astigmatism", None),
        ("Version", None),
    ],
)
def test_answerByText(text, answer):
    assert findAnswer(makeParams(phase=PHASE), text) == answer


def test_longestTextDecides():
    assert identifyQuestion("Known astigmatism") == identifyQuestion("Known astigmatism angle") == "0.0"
    assert identifyQuestion("Known astigmatism angle of something") is None


@pytest.mark.parametrize(
    ("output", "prompt"),
    [
        ("Pixel size [1.0]                                   : ", Prompt("Pixel size", True)),
        ("Version : 4.1.14\n\nPixel size [1.0] : ", Prompt("Pixel size", True)),
        ("Use a restraint on astigmatism?\r\n[no]                : ", Prompt("Use a restraint on astigmatism?", True)),
        ("\x1b[1mPixel size\x1b[0m [] :", Prompt("Pixel size", True)),
        ("Pixel size : ", Prompt("Pixel size", False)),
        ("Really?", Prompt("Really?", False)),
        ("Which? [a[1].mrc] :", Prompt("Which?", True)),
        ("Pixel size: 1.000 1.000", None),
        ("Pixel size : 1.0\n", None),
        ("[=====>     ] 40%", None),
        ("", None),
        (" : ", None),
    ],
)
def test_promptAtTheEndOfAnOutput(output, prompt):
    assert findPrompt(output) == prompt


def test_blanksWithoutEndTakeNoTime():
    assert findPrompt(" " * 20_000) is None
    assert findPrompt("Pixel size" + " " * 20_000 + ": ") == Prompt("Pixel size", False)


@given(st.sampled_from(list(constructAnswers(makeParams(phase=PHASE, program=makeProgram("5.0.1"))))),
       st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20),
       st.integers(0, 60), st.booleans(), st.text(max_size=50))  # fmt: skip
def test_promptIsFoundHoweverItIsShown(text, default, width, wrapped, before):
    shown = f"{text}\n[{default}]" if wrapped else f"{text} [{default}]"
    assert findPrompt(f"{before}\n{shown:<{width}} : ") == Prompt(text, True)


@given(st.floats(1e-6, 1e9))
def test_numbersHaveNoExponent(value):
    text = formatNumber(value)
    assert "e" not in text
    assert "." in text[:-1]
    assert float(text) == pytest.approx(value, abs=6e-7)


def test_nameThatCannotBeAnAnswer():
    with pytest.raises(ImageFailure, match="cannot be given"):
        constructAnswers(makeParams(name="a\nb"))
