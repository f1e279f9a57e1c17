"""What a checkout promises: commands that run from it, and a lock file that fits the package."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def readLock() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line.partition("#")[0].strip() for line in lines]
    return dict(pin.split("==") for pin in pins if pin)


def testLockHasEveryDependencyInAFittingVersion():
    lock = readLock()
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *extras]):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in lock, f"{requirement} is not in requirements.lock"
        assert lock[name] in requirement.specifier, f"{name} {lock[name]} is locked, {requirement} is needed"


def testLockNamesNoPlace():
    assert not re.search(r"^\s*(-|.*(://|@))", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(PROJECT["scripts"]))
def testCommandsRunFromTheCheckout(name, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / name, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


@pytest.mark.parametrize("name", sorted(PROJECT["scripts"]))
def testWorkersOfACheckoutsCommandDoNotRunItAgain(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bin")
    runpy.run_path(str(ROOT / "bin" / name), run_name="__mp_main__")  # as a worker process reads its parent's script


def testMakefileHasItsTargets():
    done = subprocess.run(["make", "-C", ROOT, "-n", "help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", text, re.MULTILINE) for target in ("demo", "test", "lint", "bench"))
