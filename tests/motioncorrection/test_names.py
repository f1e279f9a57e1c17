"""Names of aligned images: hand-made cases and invariants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.motioncorrection.store.names import constructAlignedName, constructPresetName


def isNever(_name):
    return False


@pytest.mark.parametrize(
    ("filename", "preset", "label", "expected"),
    [
        ("m25mar17a_NY0268_Gr1a_00007gr_00038sq_v02_00003hl_v01_00022enn", "enn", "a",
         "m25mar17a_NY0268_Gr1a_00007gr_00038sq_v02_00003hl_v01_00022enn-a"),
        ("x_00003hl_00004enn_v01", "enn", "a", "x_00003hl_00004enn-a_v01"),
        ("x_00003hl_00004enn_v01", "enn", "a-DW", "x_00003hl_00004enn-a-DW_v01"),
        ("enn_grid_00004enn", "enn", "b", "enn_grid_00004enn-b"),  # the last one, not the first
        ("x_00004enn", "esn", "a", "x_00004enn-a"),  # renamed by hand: nothing to replace
        ("m25_00012ma", None, "a", "m25_00012ma-a"),
        ("m25_00012ma_v02", None, "a", "m25_00012ma-a_v02"),
        ("26mar19a_00012x", None, "a", "26mar19a_00012x-a"),  # March is no preset
        ("m25_00012x", None, "a", "m25_00012x-a"),
        ("m25_00012x", "", "a-DW", "m25_00012x-a-DW"),
        ("x_00004e.n", "e.n", "a", "x_00004e.n-a"),  # text, not a pattern
    ],
)
def test_presetIsReplaced(filename, preset, label, expected):
    assert constructAlignedName(filename, preset, label, isNever) == expected


def test_presetName():
    assert constructPresetName("enn", "a") == "enn-a"
    assert constructPresetName("enn", "a-DW") == "enn-a-DW"
    assert constructPresetName(None, "a") == "ma-a"


def test_versionsCountUp():
    taken: set[str] = set()
    names = [constructAlignedName("x_00004enn", "enn", "a", taken.__contains__)]
    for _ in range(101):
        taken.add(names[-1])
        names.append(constructAlignedName("x_00004enn", "enn", "a", taken.__contains__))
    assert names[:3] == ["x_00004enn-a", "x_00004enn-a_v01", "x_00004enn-a_v02"]
    assert names[101] == "x_00004enn-a_v101"


texts = st.text("abmn-_0", min_size=1, max_size=12)


@given(filename=texts, preset=st.none() | texts, label=texts, taken=st.integers(0, 4))
def test_invariants(filename, preset, label, taken):
    """Longer by exactly the label, never the source's name, never a name in use, the same for the same question."""
    first = constructAlignedName(filename, preset, label, isNever)
    used = {first, *(f"{first}_v{number:02d}" for number in range(1, taken))} if taken else set()
    name = constructAlignedName(filename, preset, label, used.__contains__)
    assert name not in used
    assert name.startswith(first)
    assert len(first) == len(filename) + len(label) + 1
    assert name == constructAlignedName(filename, preset, label, used.__contains__)
