"""The number of pictures whose edge is known, what it does not depend on, and that alarms and pages know it."""

import sys

import mrcfile
import numpy as np
import pytest
from edgestep import STEP
from edgestep.edge import calcBlocks, calcContrast, measureEdge
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from appion.base.calc.alarmrules import parseRules
from appion.base.failures import ImageFailure
from appion.base.records.micrograph import MeasureParams
from appion.base.records.program import Program
from appion.base.workers.measure import measureMicrograph
from appion.web.calc.words import describeColumns

BLOCKS = arrays.arrays(float, st.tuples(st.integers(2, 12), st.integers(2, 12)), elements=st.floats(1, 1000))


def drawEdge(contrast, angle, covered, counts=20.0, shape=(1200, 1000)):
    """Counts with shot noise; carbon lies on one side of a line at an angle (degrees), over about this share."""
    y, x = np.indices(shape) / max(shape) - 0.5
    across = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    carbon = across < np.quantile(across, covered)
    mean = counts * np.where(carbon, 1 - contrast / 2, 1 + contrast / 2)
    return np.random.default_rng(7).poisson(mean).astype(np.float32)


@pytest.mark.parametrize(("contrast", "angle", "covered"), [(0.1, 0, 0.5), (0.2, 30, 0.3), (0.05, 75, 0.6)])
def test_an_edge_of_known_contrast(tmp_path, contrast, angle, covered):
    mrcfile.write(tmp_path / "a.mrc", drawEdge(contrast, angle, covered))
    params = MeasureParams(str(tmp_path / "a.mrc"), (1000, 1200), 1.0, {"blocks": 64}, Program("x", sys.executable))
    assert measureMicrograph(measureEdge, params).numbers["edge_contrast"] == pytest.approx(100 * contrast, rel=0.08)


def test_no_edge_and_no_counts(tmp_path):
    image = drawEdge(0.0, 0, 0.5)
    image[::97, ::89] = 5000  # hot pixels
    assert calcContrast(calcBlocks(image, 64)) < 0.02
    mrcfile.write(tmp_path / "a.mrc", image - image.mean())
    with pytest.raises(ImageFailure, match="without counts"):
        measureEdge(MeasureParams(str(tmp_path / "a.mrc"), (1000, 1200), 1.0, {"blocks": 64}, Program("x", "x")))


@given(BLOCKS, st.integers(-9, 9))
def test_neither_dose_nor_orientation_counts(blocks, power):
    contrast = calcContrast(blocks)
    assert 0 <= contrast <= 2
    assert calcContrast(2.0**power * blocks) == contrast  # by powers of 2, so that nothing is rounded
    assert calcContrast(blocks[::-1].T) == contrast


def test_alarms_and_pages_know_the_number():
    (rule,) = parseRules([{"name": "edge", "number": "edge_contrast", "above": 10}])
    assert (rule.subject, rule.limit) == (STEP.columns[0].name, 10)
    assert [one["words"] for one in describeColumns({}) if one["step"] == STEP.name] == ["contrast of the edge"]
