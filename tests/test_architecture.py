"""The shape of the house: what may import what, and that the rules which say so bite."""

from __future__ import annotations

import graphlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("appion.motioncorrection", "appion.ctfestimation")
DATABASE = {"django", "pymysql", "sinedon"}

#: What each contract forbids: its name's beginning, a module, and a line that it must not have.
VIOLATIONS = [
    ("The house", "appion/base/calc/pace.py", "import appion.motioncorrection.records"),
    ("The house", "appion/ctfestimation/cli/main.py", "import appion.doctor.finding"),
    ("The house", "appion/export/star.py", "import appion.doctor.finding"),
    ("Inside base", "appion/base/controller/state.py", "import appion.base.loop"),
    ("Inside base", "appion/base/workers/task.py", "import appion.base.controller.state"),
    ("Inside base", "appion/base/programs/blame.py", "import appion.base.workers.scaling"),
    ("Inside base", "appion/base/store/files.py", "import appion.base.retrieve.paths"),
    ("Inside base", "appion/base/retrieve/paths.py", "import appion.base.store.files"),
    ("Inside base", "appion/base/retrieve/runoptions.py", "import appion.base.cli.options"),
    ("Inside base", "appion/base/records/attempt.py", "import appion.base.retrieve.attempts"),
    ("Inside base", "appion/base/somewhere.py", "import appion.base.failures"),
    ("Inside a step", "appion/ctfestimation/store/run.py", "import appion.ctfestimation.retrieve.done"),
    ("Inside a step", "appion/motioncorrection/calc/internal/dose.py", "import appion.motioncorrection.retrieve.done"),
    ("Inside the pages", "appion/web/retrieve/pairs.py", "import appion.web.store.cache"),
    ("Inside the pages", "appion/web/security.py", "import appion.web.views.session"),
    ("Inside the keeper", "appion/keep/calc/words.py", "import appion.keep.retrieve.movie"),
    ("Inside the keeper", "appion/keep/retrieve/movie.py", "import appion.keep.store.runs"),
    ("No step knows another", "appion/ctfestimation/cli/main.py", "import appion.motioncorrection.records"),
    ("What is computed", "appion/ctfestimation/calc/internal/lens.py", "import appion.base.config"),
    ("What is computed", "appion/motioncorrection/calc/external/sums.py", "import appion.base.retrieve.images"),
    ("What is computed", "appion/web/calc/words.py", "import appion.base.config"),
    ("What is computed", "appion/keep/calc/matching.py", "import appion.base.retrieve.images"),
    ("No worker opens", "appion/base/workers/fetch.py", "def fetch():\n    import sinedon"),
    ("The daemon does not wait", "appion/base/controller/line.py", "import appion.base.retrieve.movies"),
    ("The data model", "sinedon/rows.py", "import appion.base.failures"),
    ("No package and its neighbour", "appion/base/workers/scaling.py", "import appion.base.workers.jobs.script"),
]


def lintImports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sysconfig.get_path("scripts"), "lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=300, check=False)


def findBroken(printed: str) -> list[str]:
    """Return the beginnings of the names of the contracts that are broken."""
    return [line for line in printed.splitlines() if line.endswith(" BROKEN")]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    for package in ("appion", "sinedon"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_contracts_are_kept():
    linted = lintImports(ROOT)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(("contract", "module", "line"), VIOLATIONS)
def test_an_import_the_wrong_way_is_refused(house, contract, module, line):
    path = house / module
    before = path.read_text() if path.exists() else None
    try:
        path.write_text(f"{before or ''}\n\n{line}\n")
        linted = lintImports(house)
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert linted.returncode == 1, linted.stdout
    assert any(line.startswith(contract) for line in findBroken(linted.stdout)), linted.stdout


def test_each_contract_is_tried():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    names = [contract["name"] for contract in contracts]
    assert {name for name in names for tried, *_ in VIOLATIONS if name.startswith(tried)} == set(names)


def test_only_four_modules_lie_loose_in_base():
    loose = {path.stem for path in (ROOT / "appion" / "base").glob("*.py")} - {"__init__"}
    assert loose == {"loop", "step", "config", "failures"}


def test_no_import_goes_in_a_circle():
    """Nor does one inside a function, or one that only type checkers follow."""
    graph = grimp.build_graph("appion", "sinedon", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 200
    graphlib.TopologicalSorter(imports).prepare()


@pytest.mark.parametrize(
    ("rooms", "strangers"),
    [
        (["appion.base.workers", "appion.base.programs"], DATABASE),
        ([f"{step}.calc" for step in STEPS], DATABASE | {"dask", "distributed"}),
        (["appion.base.loop", *(f"{step}.cli.main" for step in STEPS)],
         {"numba", "matplotlib", "apprise", "requests"}),
        (["appion"], DATABASE | {"dask", "numpy", "numba", "scipy"}),
    ],
)
def test_a_room_is_entered_without_strangers(rooms, strangers):
    modules = [name for room in rooms for name in listModules(room)]
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, *modules], text=True, capture_output=True, timeout=300, check=True
    )
    assert not strangers & set(done.stdout.split())


def listModules(room: str) -> list[str]:
    """Return the names of all modules of a package, or of the module or the package of all packages alone."""
    folder = ROOT.joinpath(*room.split("."))
    if "." not in room or not folder.is_dir():
        return [room]
    names = [path.relative_to(ROOT).with_suffix("").parts for path in sorted(folder.rglob("*.py"))]
    return [".".join(parts).removesuffix(".__init__") for parts in names]


def test_the_story_of_a_command_is_told_once():
    """No ten lines in a row, blank ones aside, stand in the command lines of both steps."""
    first, second = (collectRuns(step) for step in STEPS)
    assert not first.keys() & second.keys(), [first[run] for run in first.keys() & second.keys()]


def collectRuns(step: str, length: int = 10) -> dict[tuple[str, ...], str]:
    """Return each run of so many lines, and the module in which it stands."""
    runs = {}
    for path in ROOT.joinpath(*step.split("."), "cli").glob("*.py"):
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        runs.update({tuple(lines[start : start + length]): path.name for start in range(len(lines) - length + 1)})
    assert runs
    return runs
