"""CryoSPARC's names and coordinates, and the axes of images that are turned."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.calc.cryosparc import (
    calcFramePositions,
    calcLength,
    calcSignature,
    findUnit,
    isMade,
    isWeighted,
    stripName,
)
from appion.base.calc.orientation import turnAxisBy

NAME = "14sep05c_00024sq_00003hl_00002es"
points = st.lists(st.tuples(*[st.floats(-50, 50)] * 2), min_size=2, max_size=60)


@pytest.mark.parametrize("path", [
    f"J1/imported/014810031491354839884_{NAME}.frames.tif", f">J2/m/014810031491354839884_{NAME}.frames.tif",
    f"J2/motioncorrected/014810031491354839884_{NAME}.frames_patch_aligned_doseweighted.mrc",
    f"J2/motioncorrected/014810031491354839884_{NAME}.frames_rigid_aligned.mrc", f"/d/{NAME}.frames.mrc.bz2",
    f"/d/{NAME}.frames.eer", f"{NAME}.frames", f"{NAME}.mrc",
])  # fmt: skip
def test_namesAreLeginons(path):
    assert stripName(path) == NAME


def test_nothingElseIsTakenFromAName():
    for name in (f"{NAME}-a-DW", f"1481003149135483988_{NAME}", f"{NAME}_v01", f"{NAME}.frames_2"):
        assert stripName(f"/d/{name}.mrc") == name
    assert isMade(f"{NAME}.frames_patch_aligned.mrc")
    assert not isMade(f"{NAME}-a-DW.mrc")
    assert isWeighted(f"{NAME}_patch_aligned_doseweighted.mrc")
    assert not isWeighted(f"{NAME}_patch_aligned.mrc")


@given(st.text(min_size=1))
def test_aSignatureIsWhatNumpyReads(path):
    try:
        expected = np.frombuffer(hashlib.sha1(path.encode()).digest()[:8], "<u8")[0]
    except UnicodeEncodeError:
        return
    assert calcSignature(path) == int(expected)


@given(points, st.floats(0.4, 4))
def test_lengthsTellTheUnit(path, pixelsize):
    length = calcLength(path)
    unit = findUnit(path, length / pixelsize, pixelsize)
    assert unit is not None
    if length > 1e-3 and abs(pixelsize - 1) > 0.05:
        assert unit == pixelsize
        assert findUnit(path, length * 3 * max(pixelsize, 1 / pixelsize), pixelsize) is None
    assert findUnit(path, None, pixelsize) == findUnit(path, length, pixelsize) == 1


@given(points, st.floats(0.5, 4), st.booleans())
def test_positionsBeginInTheMiddleAndKeepTheirSteps(path, factor, upside_down):
    found = calcFramePositions(path, factor, upside_down)
    assert found[len(path) // 2] == (0, 0)
    assert calcLength(found) == pytest.approx(calcLength(path) / factor, abs=1e-9)
    assert found[0][0] == pytest.approx((path[0][0] - path[len(path) // 2][0]) / factor)
    sign = -1 if upside_down else 1
    assert found[0][1] == pytest.approx(sign * (path[0][1] - path[len(path) // 2][1]) / factor)


@given(st.floats(-90, 90), st.integers(0, 7))
def test_anAxisTurnsWithItsImage(angle, orientation):
    """A line drawn into an image, which numpy turns, has the axis that is told."""
    image = np.zeros((301, 301))
    for distance in range(-140, 141):
        x, y = distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))
        image[150 + round(y), 150 + round(x)] = 1
    turned = np.rot90(np.flipud(image) if orientation > 3 else image, orientation % 4)
    ys, xs = np.nonzero(turned)
    ys, xs = ys - 150, xs - 150
    seen = math.degrees(0.5 * math.atan2(2 * (xs * ys).sum(), (xs**2 - ys**2).sum()))
    told = turnAxisBy(angle, orientation)
    assert -90 <= told <= 90
    assert abs((seen - told + 90) % 180 - 90) < 1
