"""Journal records that the version before wrote are read, and give the rows that it would have written."""

import json
from pathlib import Path

import pytest

from appion.base.records.task import FORMAT, encodeComputed
from appion.base.retrieve.computed import retrieveOtherResults
from appion.base.store.journal import saveResult
from appion.ctfestimation.calc.internal.encoding import decodeOptions, decodeResult
from appion.ctfestimation.cli.options import constructCtffindParser, constructOptions
from appion.ctfestimation.records import PhaseSearch
from appion.ctfestimation.store.result import constructFields

DATA = Path(__file__).parent / "data"
OLD = DATA / "journal-2026.11.json"
RUN = "/data/appion/26nov20a/ctf/ctffindrun1"
ARGUMENTS = (
    "--session=s --projectid=1 --ampcontrast=0.1 --fieldsize=512 --resmin=40 --resmax=4 --defstep=0.05 --numstep=20"
    " --dast=0.07 --nominal=1.7 --phaseplate --phasestep=5 --exhaust --ddstackid=3 --num_frame_avg=5"
)


def test_recordOfTheVersionBefore():
    computed = decodeResult(json.loads(OLD.read_text()))
    origin, params, result = computed.origin, computed.result.params, computed.result
    assert (origin.image_id, origin.filename, origin.session_id) == (4712, "26nov20a_00002gr_00012enn-a", 17)
    assert (origin.rundir, params.folder, params.scratch) == (RUN, RUN, f"{RUN}/.appion/scratch/4712")
    assert origin.defocus_init == pytest.approx(17000.0)
    assert (params.name, params.voltage, params.cs) == ("26nov20a_02gr_012enn-a", 300.0, 2.7)
    assert (params.pixelsize, params.micrograph_pixelsize, params.is_movie) == (0.413, 0.826, True)
    assert (result.defocus1, result.defocus2) == (15005.220703, 16005.123047)
    assert result.extra_phase_shift == pytest.approx(90.0, abs=1e-4)
    assert (params.phase, params.program.version) == (PhaseSearch(10.0, 170.0, 5.0), "4.1.14")
    assert decodeResult(json.loads(json.dumps(encodeComputed(computed)))) == computed


def test_rowsAreThoseOfTheVersionBefore():
    """Digit for digit as the program printed them, in the units of the tables."""
    expected = json.loads((DATA / "journal-2026.11-row.json").read_text())
    fields = constructFields(decodeResult(json.loads(OLD.read_text())), 9)
    assert fields.keys() == expected.keys()
    for name, value in expected.items():
        found = fields[name]
        assert found == (pytest.approx(value, rel=1e-15) if isinstance(value, float) else value), name
    assert fields["extra_phase_shift"] == expected["extra_phase_shift"]


def test_optionsOfTheVersionBeforeAreCompared(tmp_path):
    saveResult(tmp_path, 4712, json.loads(OLD.read_text()))
    parser = constructCtffindParser("ctffind4.py")
    same = constructOptions(parser.parse_args(ARGUMENTS.split()), parser)
    assert retrieveOtherResults(tmp_path, decodeOptions, same) == {}
    other = constructOptions(parser.parse_args([*ARGUMENTS.split(), "--defstep=0.1"]), parser)
    assert retrieveOtherResults(tmp_path, decodeOptions, other) == {4712: "defstep=500.0"}


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"params": {}}, {"defocus1": "a lot"}])
def test_recordThatIsNone(change):
    with pytest.raises(ValueError, match=r"format|not a"):
        decodeResult(json.loads(OLD.read_text()) | change)
