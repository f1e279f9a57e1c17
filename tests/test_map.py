"""The map of the house: its drawing shows the imports as they are, and what its text names is where it says."""

import ast
import functools
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "docs" / "architecture.md"
NAME = re.compile(r"`([A-Za-z]\w*(?:\.\w+)?)`")
LINK = re.compile(r"\]\(([^)#\s]+)\)")


def testTheDrawingShowsTheImportsAsTheyAre():
    script = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
    drawn = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    same = drawn == script["draw"]()
    assert 'class="wrong"' not in drawn
    assert same, "imports changed; type: python docs/architecture.py, and look at the drawing"


@functools.cache
def listNames(path: Path) -> set[str]:
    """Return what a module defines: functions, classes, `Class.member`, and variables of module and classes."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        own = nameNode(node)
        names |= own
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member}" for part in node.body for member in nameNode(part)}
    return names


def nameNode(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def splitPassages() -> list[tuple[list[str], list[Path]]]:
    """Return the names of each row of a table or sentence up to its next files, with those files."""
    passages = []
    text = re.sub(r"(?<![|\n])\n(?![|\n])", " ", MAP.read_text(encoding="utf-8"))
    for line in text.splitlines():
        # In a table the files of the whole row count, in running text those that are named next.
        parts = [line] if line.startswith("| ") else re.split(r"(?<=\))(?=[^)]*`)", line)
        for part in parts:
            files = [(MAP.parent / target).resolve() for target in LINK.findall(part)]
            passages.append((NAME.findall(part), [file for file in files if file.suffix == ".py"]))
    return passages


@functools.cache
def listAllNames() -> set[str]:
    return {name for room in ("appion", "sinedon") for path in (ROOT / room).rglob("*.py") for name in listNames(path)}


WORDS = {"retrieve", "store", "cli", "appion", "scripts"}  # rooms, a command, a key of pyproject.toml
NAMED = [(name, files) for names, files in splitPassages() for name in names if name not in WORDS]


@pytest.mark.parametrize(("name", "files"), NAMED, ids=[name for name, _files in NAMED])
def testWhatIsNamedIsThere(name, files):
    """A table of the databases may be named beside the file that reads or writes it."""
    if name.endswith((".py", ".json")):
        written = [path.name for folder in ("bin", "docs") for path in (ROOT / folder).iterdir()]
        assert name in written or name == "status.json"
    elif name.endswith("Data"):
        assert name in listAllNames()
    else:
        assert any(name in listNames(file) for file in files), f"{name} is in none of {[file.name for file in files]}"


def testEveryRoomIsOnTheMap():
    drawn = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    houses = (ROOT / "appion" / name for name in ("base", "motioncorrection", "ctfestimation"))
    for path in (room for house in houses for room in house.iterdir()):
        if path.is_dir() and path.name not in ("__pycache__", "calc") and list(path.glob("*.py")):
            assert f">{path.name}/<" in drawn, f"{path} is not on the map"
    assert len(NAMED) > 40
