"""Which values are plausible, what is said of those that are not, and whether the unit is guessed."""

import math
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appion.base.calc import limits
from appion.base.calc.limits import (
    AMPLITUDE_CONTRAST,
    CS,
    DEFOCUS,
    DOSE,
    EXPOSURE_TIME,
    FRAME_DOSE,
    FRAME_TIME,
    HIGH_TENSION,
    PIXEL_SIZE,
    RESOLUTION,
    ROTATION,
    SEARCHED_DEFOCUS,
    TILT,
    Quantity,
    checkValue,
    describeLimits,
    guessUnit,
)
from appion.base.failures import ConfigurationFailure

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "administrator.md"

QUANTITIES = {name: value for name, value in vars(limits).items() if isinstance(value, Quantity)}

#: A value of each quantity that is often met, and its unit.
TYPICAL = [
    (HIGH_TENSION, 300, "kV"), (HIGH_TENSION, 200, "kV"), (CS, 2.7, "mm"), (CS, 1.4, "mm"), (PIXEL_SIZE, 1.06, "Å"),
    (PIXEL_SIZE, 0.413, "Å"),
]  # fmt: skip


def read(quantity, value, unit=None):
    with pytest.raises(ConfigurationFailure) as caught:
        checkValue(quantity, value, "Table row 7: column", unit, "column")
    return caught.value


@pytest.mark.parametrize(
    ("quantity", "unit", "values"),
    [
        (HIGH_TENSION, "V", [40e3, 80e3, 120000, 200000, 300000, 400e3, 1e6]),
        (HIGH_TENSION, "kV", [60, 1000]),
        (CS, "m", [0.0, 1e-6, 1e-5, 0.0012, 0.0027, 0.0064]),
        (CS, "mm", [0, 0.001, 0.01, 2.7, 6.4, 10]),
        (PIXEL_SIZE, "m", [5e-12, 2.1e-11, 4.13e-11, 1.06e-10, 1.4e-9, 5e-9]),
        (DEFOCUS, "m", [0, -0.0, -5e-8, 1e-12, -2e-6, -25e-6, 2e-6, -9e-5]),
        (DOSE, "e/m²", [0, 1e20, 5.4546e21, 1.5e22]),
        (DOSE, "e/Å²", [0, 3, 54, 75, 150]),
        (FRAME_DOSE, "e/Å²", [0, 0.0016, 0.0323, 1.09, 100]),
        (EXPOSURE_TIME, "ms", [0, 100, 1600.0, 60000]),
        (FRAME_TIME, "ms", [0, 3.1, 30, 50.0, 1500]),
        (ROTATION, "quarter turns", [0, 1, 2, 3]),
        (TILT, "rad", [0, -1.2, 1.05]),
        (AMPLITUDE_CONTRAST, "", [0, 0.07, 0.1, 1]),
        (RESOLUTION, "Å", [0.6, 4, 30, 50]),
    ],
)
def test_whatIsRealPasses(quantity, unit, values):
    for value in values:
        assert checkValue(quantity, value, "value", unit) == value


@pytest.mark.parametrize(
    ("quantity", "value", "unit", "said"),
    [
        (HIGH_TENSION, 300, "V", "column=300 is not possible: it looks like kV, the column wants 10000 to 1000000 V "
                                 "(if 300 kV is meant, write 300000 there)"),
        (HIGH_TENSION, 0, "V", "column=0 is not possible: the column wants 10000 to 1000000 V (correct it there)"),
        (HIGH_TENSION, 300000, "kV", "looks like V, the column wants 10 to 1000 kV"),
        (CS, 2.7, "m", "looks like mm, the column wants 0 or 1e-07 to 0.01 m (if 2.7 mm is meant, write 0.0027 there)"),
        (CS, 0.0027, "mm", "column=0.0027 mm is next to nothing: it looks like m"),
        (CS, 2700, "mm", "looks like µm"),
        (PIXEL_SIZE, 1.06, "m", "looks like Å, the column wants 5e-12 to 1e-08 m (if 1.06 Å is meant, write 1.06e-10"),
        (PIXEL_SIZE, 0.106, "m", "looks like nm"),
        (PIXEL_SIZE, 1.06e-4, "m", "looks like µm"),
        (PIXEL_SIZE, 6e-8, "m", "another --preset"),
        (DEFOCUS, -2, "m", "looks like µm, the column wants -0.0001 to 0.0001 m"),
        (DEFOCUS, -2000, "m", "looks like nm"),
        (DEFOCUS, 15000, "m", "looks like Å"),
        (SEARCHED_DEFOCUS, 1.5, "Å", "looks like µm, the column wants 10 to 1000000 Å"),
        (SEARCHED_DEFOCUS, 2e-6, "µm", "looks like m"),
        (DOSE, 54, "e/m²", "looks like e/Å², the column wants 0 or 1e+19 to 3e+23 e/m²"),
        (DOSE, 5400, "e/m²", "looks like e/nm²"),
        (DOSE, 5.4e21, "e/Å²", "looks like e/m²"),
        (DOSE, -54, "e/Å²", "is not possible"),
        (EXPOSURE_TIME, 1.6, "ms", "looks like s"),
        (FRAME_TIME, 0.05, "ms", "looks like s"),
        (ROTATION, 90, None, "looks like degrees, the column wants 0 to 3 quarter turns"),
        (TILT, 45, "rad", "looks like degrees"),
        (AMPLITUDE_CONTRAST, 7, None, "looks like %"),
        (RESOLUTION, 0.4, "Å", "looks like nm"),
        (HIGH_TENSION, math.nan, "V", "column=nan is not a number"),
        (HIGH_TENSION, math.inf, "V", "column=inf is not possible"),
        (HIGH_TENSION, "300 kV", "V", "column='300 kV' is not a number"),
        (HIGH_TENSION, None, "V", "column=None is not a number"),
    ],
)  # fmt: skip
def test_whatCannotBeIsNamedWithItsUnit(quantity, value, unit, said):
    assert said in str(read(quantity, value, unit))
    assert str(read(quantity, value, unit)).startswith("Table row 7: column=")


@pytest.mark.parametrize(("quantity", "value", "unit"), TYPICAL)
@pytest.mark.parametrize("factor", [1e3, 1e6, 1e10])
def test_aSlipOfTheUnitIsNeverTaken(quantity, value, unit, factor):
    """Where a unit of that size exists it is the one that is guessed."""
    for slip in (factor, 1 / factor):
        failure = read(quantity, value * slip, unit)
        named = [name for name, size in quantity.units.items() if math.isclose(size * slip, 1, rel_tol=1e-6)]
        for name in named:
            assert f"it looks like {name}, " in failure.reason


@pytest.mark.parametrize(
    ("quantity", "column", "right", "factor", "unit"),
    [
        (HIGH_TENSION, "V", 300e3, 1e-3, "kV"), (HIGH_TENSION, "V", 300e3, 1e-6, "MV"), (CS, "m", 0.0027, 1e3, "mm"),
        (CS, "m", 0.0027, 1e6, "µm"), (CS, "m", 0.0027, 1e10, "Å"), (PIXEL_SIZE, "m", 1.06e-10, 1e3, "mm"),
        (PIXEL_SIZE, "m", 1.06e-10, 1e6, "µm"), (PIXEL_SIZE, "m", 1.06e-10, 1e10, "Å"),
        (DEFOCUS, "m", -2.1e-6, 1e3, "mm"), (DEFOCUS, "m", -2.1e-6, 1e6, "µm"), (DEFOCUS, "m", -2.1e-6, 1e10, "Å"),
        (DOSE, "e/m²", 5e21, 1e-20, "e/Å²"), (EXPOSURE_TIME, "ms", 1600, 1e-3, "s"), (FRAME_TIME, "ms", 50, 1e-3, "s"),
        (TILT, "rad", math.radians(45), math.degrees(1), "degrees"),
    ],
)  # fmt: skip
def test_columnsInOtherUnits(quantity, column, right, factor, unit):
    assert checkValue(quantity, right, "it", column) == right
    failure = read(quantity, right * factor, column)
    assert f"it looks like {unit}, " in failure.reason
    assert failure.remedy.partition(";")[0].endswith(f"write {right:.6g} there")


@pytest.mark.parametrize("name", QUANTITIES)
@settings(deadline=None)
@given(share=st.floats(0, 1), data=st.data())
def test_allWithinTheLimitsPasses(name, share, data):
    quantity = QUANTITIES[name]
    unit = data.draw(st.sampled_from([quantity.unit, *quantity.units]))
    value = quantity.least + share * (quantity.most - quantity.least)
    assume(not quantity.gap[0] < value < quantity.gap[1])
    scaled = value / quantity.size(unit)
    assert checkValue(quantity, scaled, "it", unit) == scaled
    if quantity.signed or (quantity.zero and value == 0):
        assert checkValue(quantity, -scaled, "it", unit) == -scaled


@pytest.mark.parametrize("name", QUANTITIES)
@settings(deadline=None)
@given(value=st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**12), 10**12))
def test_allBeyondTheLimitsFailsAndIsNamed(name, value):
    quantity = QUANTITIES[name]
    size = abs(value) if quantity.signed else value
    if quantity.least / 1.001 <= size <= quantity.most * 1.001 or (quantity.zero and value == 0):
        return
    failure = read(quantity, value)
    assert failure.reason.startswith("Table row 7: column=")
    assert describeLimits(quantity, quantity.unit) in failure.reason
    assert failure.remedy


@pytest.mark.parametrize("name", [name for name, quantity in QUANTITIES.items() if quantity.units])
@settings(deadline=None)
@given(share=st.floats(0, 1), data=st.data())
def test_aUsualValueInAnotherUnitIsPossibleOrGuessed(name, share, data):
    """The guess makes a usual value of it. Where units are near each other it may be another one than was meant."""
    quantity = QUANTITIES[name]
    low, high = quantity.usual
    meant = low * (high / low) ** share
    unit = data.draw(st.sampled_from(sorted(quantity.units)))
    value = meant / quantity.size(unit)
    if quantity.allows(value):
        return
    guess = guessUnit(quantity, value, quantity.unit)
    assert guess
    assert low / 1.001 <= value * quantity.size(guess) <= high * 1.001


@pytest.mark.parametrize("name", QUANTITIES)
def test_theTableIsSound(name):
    quantity = QUANTITIES[name]
    low, high = quantity.usual
    assert quantity.least <= low <= high <= quantity.most
    assert not quantity.signed or quantity.least == 0
    assert quantity.unit not in quantity.units


@pytest.mark.parametrize("name", QUANTITIES)
def test_theGuideHasEachLimit(name):
    table = GUIDE.read_text().partition("## Values and their units")[2].partition("\n## ")[0]
    rows = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")]
    assert any(describeLimits(QUANTITIES[name], QUANTITIES[name].unit) in row for row in rows)
