"""By which name a command was called."""

import sys

import dask.config
import pytest

from appion.base.cli.wiring import chooseName
from appion.ctfestimation.cli.main import mainGctf
from appion.motioncorrection.cli.main import main as mainMotionCor

NAMES = ("makeDDAlignMotionCor2_UCSF.py", "makeDDAlignMotionCor3.py", "motioncor2.py", "motioncor3.py")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_goes_by_the_name_that_was_called(name, monkeypatch, capsys):
    assert chooseName(NAMES, f"/usr/local/bin/{name}") == name
    monkeypatch.setattr(sys, "argv", [f"/usr/local/bin/{name}"])
    with pytest.raises(SystemExit, match="2"):
        mainMotionCor(["--nonsense"])
    assert f"(see {name} --help)" in capsys.readouterr().err


def test_a_command_called_by_no_name_of_its_own_goes_by_its_first(monkeypatch, capsys):
    assert chooseName(NAMES, "/site-packages/appion/motioncorrection/cli/main.py") == NAMES[0]
    monkeypatch.setattr(sys, "argv", ["-c"])
    with pytest.raises(SystemExit, match="2"):
        mainGctf(["--nonsense"])
    assert "(see gctf.py --help)" in capsys.readouterr().err


def test_a_wrong_alarm_ends_the_start_of_a_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["motioncor2.py"])
    with dask.config.set({"appion.alarms.rules": [{"name": "far", "number": "drfit", "above": 30}]}):
        assert mainMotionCor(["--session=any", "--projectid=1"]) == 2
    said = capsys.readouterr().err
    assert "appion.alarms.rules, number 1 (far): number is 'drfit' (did you mean drift?)" in said
    assert "Traceback" not in said
