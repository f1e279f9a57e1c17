"""Short names by classic's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.ctfestimation.calc.internal.shortname import constructShortName


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("16jan04a_00017gr_00021sq_v02_00002hl_00004enn-a", "16jan04a_017gr_021sq_02hl_04enn-a"),
        ("/data/16jan04a_gridbox7_slot3_00017gr_00021sq_00002hl_v01_00004en.mrc", "16jan04a_017gr_021sq_02hl_04en"),
        ("09jul15a_00012gr_00003sq_00004hl_00_00005en", "09jul15a_012gr_03sq_04hl_05en"),
        ("09jul15a_00100gr_00005en_v01", "09jul15a_0100gr_05en"),
        ("m25mar24a_G4_00002gr_00033sq_v02_00008hl_00005enn", "m25mar24a_G4_02gr_033sq_08hl_05enn"),
        ("m25mar17a_17102015_01_4092x5760_norm_0", "m25mar17a_17102015_01_4092x5760_norm_0"),
        ("a__b_", "a_b"),
        ("_v01", "_v01"),
        ("plain", "plain"),
    ],
)
def test_knownNames(name, short):
    assert constructShortName(name) == short


names = st.from_regex(r"[a-z0-9_.-]{1,30}", fullmatch=True) | st.builds(
    "{:02d}jul15a_{}{:05d}gr_{:05d}sq_v{:02d}_{:05d}hl_{:05d}enn-a".format, st.integers(0, 99),
    st.sampled_from(["", "grid_", "box_7_"]), st.integers(1, 99999), st.integers(1, 99999), st.integers(0, 99),
    st.integers(1, 99999), st.integers(1, 99999),
)  # fmt: skip


@given(names)
def test_noNameIsEmptyOrLonger(name):
    short = constructShortName(name)
    assert 0 < len(short) <= len(name)
    assert "/" not in short
    assert constructShortName(f"/some/folder/{name}") == short


@given(st.integers(1, 99999), st.integers(1, 99999), st.sampled_from(["", "grid_"]))
def test_targetsStayApart(one, other, grid):
    shorts = [constructShortName(f"09jul15a_{grid}{number:05d}gr_00002hl_{number:05d}enn") for number in (one, other)]
    assert (shorts[0] == shorts[1]) == (one == other)
