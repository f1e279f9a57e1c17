"""What pages say of numbers, and which picture above an exposure is of a square."""

from __future__ import annotations

import doctest

import pytest

from appion.web.calc import words
from appion.web.calc.words import countGood, describeGood, describeTrend
from appion.web.retrieve.places import Place, Places, listSquares


def testExamples():
    assert doctest.testmod(words).failed == 0


def testGoodIsWithinEveryLimit():
    columns = {"drift": [10.0, 60.0, 20.0, None, None], "confidence": [0.9, 0.9, 0.2, None, 0.8], "name": ["a"] * 5}
    assert countGood(columns, {"drift": 50, "confidence": 0.5}) == (2, 4)
    assert countGood(columns, {"drift": 50, "ctf_resolution": 6}) == (2, 3)
    assert countGood({}, {"drift": 50}) == (0, 0)
    assert describeGood(columns, {"drift": 50}) == "2 of 3 are good (67 %): drift at most 50 Å"
    assert describeGood({"drift": [None]}, {"drift": 50}) is None


@pytest.mark.parametrize(("name", "before", "after", "said"), [
    ("drift", 10.0, 21.0, "drift of the last 20 is 2.1 times the session's (21.0 Å, 10.0 Å)"),
    ("drift", 10.0, 14.0, ""),
    ("confidence", 0.9, 0.3, "confidence of the last 20 is 0.3 times the session's (0.30, 0.90)"),
    ("ctf_resolution", 6.0, 3.0, "resolution of the fit of the last 20 is 0.5 times the session's (3.0 Å, 6.0 Å)"),
    ("drift", None, 5.0, ""), ("drift", 0.0, 0.0, ""),
])  # fmt: skip
def testTrendIsToldWhereItMatters(name, before, after, said):
    found = describeTrend({name: [before] * 60 + [None] + [after] * 20})
    assert found == ([said] if said else [])


def testTheWorstIsToldFirst():
    columns = {"drift": [10.0] * 60 + [20.0] * 20, "ctf_resolution": [4.0] * 60 + [40.0] * 20,
               "confidence": [0.3] * 60 + [0.9] * 20}  # fmt: skip
    assert [sentence.split(" of ")[0] for sentence in describeTrend(columns)] == ["resolution", "drift", "confidence"]


def makePlaces(*chain: str) -> tuple[Places, int]:
    """Pictures of these kinds, each on the next; returns them and the id of the first."""
    places = Places()
    for number, kind in enumerate(chain, 1):
        parent = number + 1 if number < len(chain) else None
        places.found[number] = Place(number, kind, kind, 1000, 500, parent, 100.0, -50.0)
    return places, 1


@pytest.mark.parametrize(("chain", "square", "hole"), [
    (("hole hln", "square sq", "grid gr"), 2, 1), (("hole hl", "square sq"), 2, 1), (("square sq", "grid gr"), 1, None),
    (("hole hln",), None, 1), (("square sq",), 1, None), (("atlas",), None, None), ((), None, None),
    (("focus fa", "mine", "theirs"), 2, 1),
])  # fmt: skip
def testSquareAndHoleOfAnExposure(chain, square, hole):
    places, first = makePlaces(*chain)
    found = [place and place.image_id for place in places.findPlace(first)]
    assert found == [square, hole]


def testPlacesOnASquareWithoutPicturesOfHoles():
    """Exposures that are targets on the square itself: each spot is a hole."""
    places, square = makePlaces("square sq", "grid gr")
    spots = {11: (square, 100.0, -50.0), 12: (square, 100.2, -50.0), 13: (square, -500.0, 250.0), 14: (None, 0.0, 0.0)}
    (found,) = listSquares(places, spots)
    assert (found["id"], found["width"], found["height"]) == (square, 1000, 500)
    assert [(hole["id"], hole["exposures"], hole["y"]) for hole in found["holes"]] == [
        (None, [11, 12], 0.4), (None, [13], 1.0)]  # fmt: skip


def testPicturesThatLieOnEachOtherInACircleEnd():
    places = Places()
    for number in (1, 2):
        places.found[number] = Place(number, "", "", 10, 10, 3 - number, 0.0, 0.0)
    assert places.findPlace(1) == (places.found[2], places.found[1])
