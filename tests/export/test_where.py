"""The language of --where."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.failures import ConfigurationFailure
from appion.export.where import parseCondition

LINE = {"image": 7, "name": "a b", "preset": "enn", "drift": 12.5, "ctf_resolution": 4.0, "defocus": 15000.0}


@pytest.mark.parametrize(("text", "expected"), [
    ("ctf_resolution < 5 and drift < 20", True),
    ("ctf_resolution<5 and drift<20", True),
    ("drift > 12.5", False), ("drift >= 12.5", True), ("drift = 12.5", True), ("drift != 1e3", True),
    ("10000 < defocus <= 15e3", True), ("10000 < defocus < 15000", False),
    ("not drift > 20", True), ("not (drift > 20 or ctf_resolution > 5)", True),
    ("drift > 20 or ctf_resolution < 5 and defocus > 1", True),
    ("(drift > 20 or ctf_resolution < 5) and defocus < 1", False),
    ("preset == 'enn'", True), ('name != "a b"', False), ("image == 7", True), ("defocus > -5", True),
    ("drift < 20 AND defocus > 1", True),
])  # fmt: skip
def test_whatItSays(text, expected):
    assert parseCondition(text).holds(LINE) is expected


@pytest.mark.parametrize(("text", "expected"), [
    ("ice_ring < 300", False), ("not ice_ring < 300", False), ("ice_ring < 300 or drift < 20", True),
    ("ice_ring < 300 and drift > 20", False), ("not (ice_ring < 300 and drift > 20)", True), ("ice_ring != 1", False),
])  # fmt: skip
def test_whatIsNotKnownIsNeitherTrueNorFalse(text, expected):
    assert parseCondition(text).holds(LINE) is expected


def test_whichColumnsItLooksAt():
    assert parseCondition("drift < 5 and not preset == 'a'").columns == {"drift", "preset"}


@pytest.mark.parametrize(("text", "said"), [
    ("drfit < 5", "drift? There are image, name"),
    ("drift < five", "there is no column five"),
    ("", "ends too early"), ("drift", "has no comparison"), ("drift <", "ends too early"),
    ("drift < 5 and", "ends too early"), ("(drift < 5", "bracket that is not closed"),
    ("drift < 5)", "does not go on with ')'"), ("drift < 5 drift > 1", "does not go on with 'drift'"),
    ("drift < 'a'", "compares a text with a number"), ("preset < 'a'", "compares texts by <"),
    ("1 < 2", "compares no column"), ("drift < 5 & defocus > 1", "cannot be read from '& defocus > 1' on"),
    ("__import__('os').system('x')", "cannot be read"), ("drift < 5; import os", "cannot be read"),
    ("and < 5", "has 'and' where something is to be compared"), ("preset == 'enn", "cannot be read"),
    ("drift < 5x", "cannot be read"), ("(" * 60 + "drift < 5" + ")" * 60, "brackets deep"),
])  # fmt: skip
def test_badTextIsAnErrorThatNamesWhatThereIs(text, said):
    with pytest.raises(ConfigurationFailure) as raised:
        parseCondition(text)
    assert said in str(raised.value)


@given(st.text(max_size=60))
def test_anyTextIsReadOrRefused(text):
    with contextlib.suppress(ConfigurationFailure):
        assert parseCondition(text).holds(LINE) in (True, False)
