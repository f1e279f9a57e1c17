"""The commands in the documentation run: all blocks whose fence says `sh run`, in order, one shell for a document."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```sh run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

RUNNABLE = [path for path in DOCUMENTS if BLOCK.search(path.read_text())]


def nameDocument(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", RUNNABLE, ids=nameDocument)
def testCommandsRun(path, tmp_path):
    script = tmp_path / "commands.sh"
    script.write_text("set -euo pipefail\n" + "\n".join(BLOCK.findall(path.read_text())))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SINEDON", "DASK", "APPION"))}
    environment["PATH"] = f"{sysconfig.get_path('scripts')}:{environment['PATH']}"
    environment["HOME"] = str(tmp_path)
    done = subprocess.run(
        ["bash", "-x", script], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, text=True, capture_output=True,
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=nameDocument)
def testLinksLeadSomewhere(path):
    text = FENCED.sub("", path.read_text())
    for target, anchor in LINK.findall(text):
        file = path.parent / target if target else path
        assert file.exists(), f"{path.name} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{path.name} links to {target}{anchor}"


def testRunbookQuotesWhatIsPrinted():
    """What the first column of a table of the run-book quotes is a message of the programs, around each `…`."""
    sources = "\n".join(path.read_text() for room in ("appion", "sinedon") for path in (ROOT / room).rglob("*.py"))
    sources = re.sub(r'"\s*\n\s*f?"', "", sources)  # a text in two halves
    rows = [line for line in (ROOT / "docs/runbook.md").read_text().splitlines() if line.startswith("| ")]
    quotes = [quote for row in rows for quote in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(quotes) > 30
    parts = {part.strip() for quote in quotes for part in quote.split("…")} - {""}
    assert {part for part in parts if part not in sources} == set()


def testEveryPromiseHasATest():
    promised = set(re.findall(r"^\| (P\d+) \|", (ROOT / "docs/promises.md").read_text(), re.MULTILINE))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests/faults").glob("test_*.py"))
    assert promised == {f"P{number}" for number in range(1, 22)}
    assert promised == set(re.findall(r"^def test_(P\d+)_", tests, re.MULTILINE))


def testEveryTestThatFaultsOfTheFieldNameIsThere():
    """`file.py`, `folder/file.py::test`, or `::test` of the file named before; `…` is whatever follows."""
    sources = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    table = (ROOT / "docs/decisions/field-faults.md").read_text()
    named, missing = 0, []
    for row in re.findall(r"^\| (?!kind \|).*\|$", table, re.MULTILINE):
        file = ""
        for quote in re.findall(r"`([^`]+)`", row.split("|")[4]):
            file, name = quote.partition("::")[0] or file, quote.partition("::")[2]
            found = [text for path, text in sources.items() if f"/{path}".endswith(f"/{file}")]
            pattern = re.escape(name).replace("…", r"\w*")
            named += 1
            if not any(re.search(rf"^def {pattern}\(" if name else "", text, re.MULTILINE) for text in found):
                missing.append(quote)
    assert named > 50
    assert missing == []
