"""STAR files as two other readers see them."""

import math

import gemmi
import pytest
import starfile
from hypothesis import given
from hypothesis import strategies as st

from appion.base.failures import ConfigurationFailure
from appion.export.star import Block, formatComment, formatStar, formatValue, quoteText

#: gemmi reads no other letters.
NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20).filter(
    lambda text: not ("'" in text and '"' in text)
)


def readGemmi(text):
    """Return label: values of each block, as gemmi reads them."""
    found = {}
    for block in gemmi.cif.read_string(text):
        tables = {}
        for item in block:
            if item.pair is not None:
                tables[item.pair[0]] = [gemmi.cif.as_string(item.pair[1])]
            elif item.loop is not None:
                width = item.loop.width()
                for number, tag in enumerate(item.loop.tags):
                    tables[tag] = [gemmi.cif.as_string(value) for value in list(item.loop.values)[number::width]]
        found[block.name] = tables
    return found


def test_bothReadersSeeWhatWasWritten(tmp_path):
    blocks = [
        Block("optics", {"rlnOpticsGroup": [1, 2], "rlnVoltage": [300.0, 200.0]}),
        Block("micrographs", {
            "rlnMicrographName": ["Micrographs/a b/x y.mrc", "Micrographs/s/_1.mrc", ""],
            "rlnDefocusU": [12345.678901, 0.1, 2e-7], "rlnOpticsGroup": [1, 2, 1],
        }, comments=("data_optics stands above,\nversion 5",)),
        Block("general", {"rlnImageSizeX": [4096], "rlnMicrographMovieName": ["a.mrcs"]}, single=True),
    ]  # fmt: skip
    path = tmp_path / "x.star"
    path.write_text(formatStar(blocks))
    found = starfile.read(path, always_dict=True)
    assert list(found) == ["optics", "micrographs", "general"]
    assert found["micrographs"]["rlnMicrographName"].tolist()[:2] == ["Micrographs/a b/x y.mrc", "Micrographs/s/_1.mrc"]
    assert found["micrographs"]["rlnDefocusU"].tolist() == [12345.678901, 0.1, 2e-7]
    assert found["general"] == {"rlnImageSizeX": 4096, "rlnMicrographMovieName": "a.mrcs"}
    seen = readGemmi(path.read_text())
    assert seen["micrographs"]["_rlnMicrographName"] == ["Micrographs/a b/x y.mrc", "Micrographs/s/_1.mrc", ""]
    assert seen["general"]["_rlnImageSizeX"] == ["4096"]


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_anyNameComesBack(names):
    text = formatStar([Block("micrographs", {"rlnMicrographName": names, "rlnOpticsGroup": [1] * len(names)})])
    assert readGemmi(text)["micrographs"]["_rlnMicrographName"] == names


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9))
def test_numbersKeepTheirDigits(value):
    assert float(formatValue(value)) == pytest.approx(value, rel=1e-9, abs=6e-7)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_thereIsNoWayToWriteNoNumber(value):
    with pytest.raises(ValueError, match="is no number"):
        formatStar([Block("micrographs", {"rlnDefocusU": [value]})])


def test_columnsHaveOneLength():
    with pytest.raises(ValueError, match="have"):
        formatStar([Block("micrographs", {"a": [1], "b": [1, 2]})])


@pytest.mark.parametrize("name", ["a\nb", "both ' and \"", "\x1b[2J"])
def test_whatNoStarFileHoldsIsRefused(name):
    with pytest.raises(ConfigurationFailure, match="cannot stand in a STAR file"):
        quoteText(name)


def test_noCommentLooksLikeATable():
    text = formatComment("data_x loop_ version 30001\nand Data_y")
    assert text.startswith("# ")
    assert all(word not in text.lower() for word in ("data_", "loop_", "version"))
