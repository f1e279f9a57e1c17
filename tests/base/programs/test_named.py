"""The program that the caller of a function named: by what its name holds."""

import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.programs.named import findNamed

OTHERS = ("gctffind", "gctf", "ctffind5")


@pytest.mark.parametrize(
    ("name", "says", "kind"),
    [
        ("GCtfFind", "GCtfFind version 1.1.2, May 08, 2025", "gctffind"),
        ("Gctf-v1.06_sm_30_cu8.0_x86_64", "", "gctf"),
        ("ctffind5", "   Version : 5.0.2", "ctffind"),
        ("ctffind-4.1.14", "   Version : 4.1.14", "ctffind"),
    ],
)
def test_kindByName(tmp_path, name, says, kind):
    script = tmp_path / name
    script.write_text(f"#!/bin/sh\necho '{says}'\n")
    script.chmod(0o755)
    assert findNamed(script, "ctffind4", OTHERS, "remedy").kind == kind


def test_whatIsNotThereIsNamedWithTheRemedy():
    with pytest.raises(ConfigurationFailure, match=r"program=nowhere: .*nowhere.*\(take another\)"):
        findNamed("nowhere", "ctffind4", OTHERS, "take another")
