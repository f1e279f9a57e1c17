"""What a checkout promises: commands that run from it, and lock files that fit the package and its imports."""

import ast
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: As a daemon under systemd or cron may find itself: nothing but ASCII can be shown.
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def readLock(*names: str) -> dict[str, str]:
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines()]
    pins = [line.partition("#")[0].strip() for line in lines]
    return dict(pin.split("==") for pin in pins if pin and not pin.startswith("-"))


def nameProject(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def readImports() -> dict[str, Path]:
    """Every top-level package that the code imports, and a file that does."""
    found = {}
    for path in (file for room in ("appion", "sinedon") for file in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0]: path for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module.partition(".")[0]] = path
    return found


def iterateNeeds(requirements: Iterable[str]) -> Iterator[str]:
    """The names of these requirements and of all that they need, on the oldest Python that will do and on this one."""
    waiting, seen = [Requirement(text) for text in requirements], set()
    pythons = ("3.11", ".".join(map(str, sys.version_info[:2])))
    while waiting:
        requirement = waiting.pop()
        name = nameProject(requirement.name)
        if (name, *requirement.extras) in seen:
            continue
        seen.add((name, *requirement.extras))
        yield name
        for need in map(Requirement, metadata.requires(name) or ()):
            places = [{"python_version": python, "extra": extra} for python in pythons
                      for extra in ("", *requirement.extras)]
            if need.marker is None or any(map(need.marker.evaluate, places)):
                waiting.append(need)


def testEveryImportIsDeclared():
    optional = [text for name, texts in PROJECT["optional-dependencies"].items() for text in texts if name != "test"]
    declared = {nameProject(Requirement(text).name) for text in [*PROJECT["dependencies"], *optional]}
    projects = metadata.packages_distributions()
    for package, path in readImports().items():
        if package not in sys.stdlib_module_names and package not in ("appion", "sinedon"):
            names = {nameProject(name) for name in projects.get(package, [package])}  # one compiled module, say
            assert names & declared, f"{path.relative_to(ROOT)}: {package} is imported and not declared"


def testLocksHaveEveryDependencyInAFittingVersion():
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    for lock, requirements in (
        (readLock("requirements.lock"), PROJECT["dependencies"]),
        (readLock(*LOCKS), [*PROJECT["dependencies"], *extras]),
    ):
        for requirement in map(Requirement, requirements):
            name = nameProject(requirement.name)
            assert name in lock, f"{requirement} is not locked"
            assert lock[name] in requirement.specifier, f"{name} {lock[name]} is locked, {requirement} is needed"


def testProductionGetsWhatItNeedsAndNothingForTests():
    lock, needed = set(readLock("requirements.lock")), set(iterateNeeds(PROJECT["dependencies"]))
    assert lock == needed
    assert not lock & {"pytest", "hypothesis", "mypy", "ruff", "setuptools"}


def testDevelopmentAddsToProduction():
    lines = [line for line in (ROOT / "requirements-dev.lock").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "-r requirements.lock"
    tools = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    assert set(readLock(*LOCKS)) == set(iterateNeeds([*PROJECT["dependencies"], *tools, "setuptools"]))
    assert not set(readLock("requirements-dev.lock")) & set(readLock("requirements.lock")), "locked twice"


@pytest.mark.parametrize("name", LOCKS)
def testLocksNameNoPlace(name):
    text = (ROOT / name).read_text().replace("-r requirements.lock\n", "", 1)
    assert not re.search(r"^\s*(-|.*(://|@))", text, re.MULTILINE)


@pytest.mark.parametrize("words", ["motioncor2.py", "motioncor2.py --session=\xc5 --projectid=\xc5", "appion st\xe5tus",
                                   "appion explain m\xfcll 1", "runJob.py m\xfcll.py", "sinedon \xe5",
                                   "motioncor-cpu -InMrc m\xfcll.mrc", "ctffind-cpu --\xe5"])  # fmt: skip
def testErrorsAreShownWhereOnlyAsciiIs(words, tmp_path):
    name, *options = words.split()
    done = subprocess.run(
        [sys.executable.encode(), os.fsencode(ROOT / "bin" / name), *(word.encode() for word in options)],
        cwd=tmp_path, env=os.environ | PLAIN, stdin=subprocess.DEVNULL, capture_output=True, timeout=600,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2, 255), said
    assert said.isascii()
    assert said
    assert b"Traceback" not in said


@pytest.mark.parametrize("name", sorted(PROJECT["scripts"]))
def testVersionIsThatOfThePackage(name, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / name, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert re.fullmatch(rf"{re.escape(name)} (version )?{re.escape(metadata.version('appion'))}\n", done.stdout)


@pytest.mark.parametrize("name", sorted(PROJECT["scripts"]))
def testCommandsRunFromTheCheckoutAndShowTheirHelpOnAnyScreen(name, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / name, "--help"], cwd=tmp_path, env=os.environ | PLAIN, capture_output=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"usage" in done.stdout.lower()
    assert done.stdout.isascii()


@pytest.mark.parametrize("name", sorted(PROJECT["scripts"]))
def testWorkersOfACheckoutsCommandDoNotRunItAgain(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bin")
    runpy.run_path(str(ROOT / "bin" / name), run_name="__mp_main__")  # as a worker process reads its parent's script


def testMakefileHasItsTargets():
    done = subprocess.run(["make", "-C", ROOT, "-n", "help"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    text = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", text, re.MULTILINE) for target in ("demo", "test", "lint", "bench"))
