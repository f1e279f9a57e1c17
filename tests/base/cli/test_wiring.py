"""By which name a command was called."""

import sys

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
