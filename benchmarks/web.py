"""What the pages of a long session cost: time of the server, queries, memory.

    python benchmarks/web.py [--exposures N] [--mariadb | --no-mariadb]

A session whose every exposure is corrected and has a CTF, as rows and lines of the series, in MyISAM tables of a
MariaDB of its own where that is installed. The real `appion web` answers as it does a browser, one question after
another. Beside it a session of a hundred exposures: queries are to be as many for both, and what is asked every few
seconds, for what is new, is not to take longer with what there was before. Where there is Chromium, it opens the page
of the long session as well, with a cache that is empty.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import mrcfile
from django.test import Client

import sinedon
from appion.web.retrieve import table
from appion.web.settings import applySettings
from benchmarks.controller import makeDatabase
from sinedon.live import readLiveTables
from sinedon.schema import createMissing
from tests.services.mariadb import findMariaDB
from tests.web.rows import Session
from tests.web.serving import Server, runServer

FEW = 100

#: Milliseconds of the server and megabytes that are promised of ten thousand exposures.
FIRST, USABLE, UPDATE, MEMORY = 1000, 2000, 100, 300

#: Rows and columns of a camera's largest micrographs.
LARGE = (8184, 11520)

#: Updates that are measured; the median counts.
UPDATES = 5


@dataclass(frozen=True)
class Spent:
    """Milliseconds: of the server's processor, and until the answer was there."""

    processor: float
    elapsed: float


@dataclass(frozen=True)
class Cost:
    """What the page takes, all that it asks for at first with it, all numbers once more, and an update.

    `queries` and `update_queries`: of all that is asked for at first, and of an update. `size`: bytes of the numbers.
    """

    page: Spent
    usable: Spent
    again: Spent
    update: Spent
    queries: int
    update_queries: int
    size: int


def main() -> int:
    """Measure both sessions, the long one with a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exposures", type=int, default=10_000, help="of the long session (default: %(default)s)")
    parser.add_argument("--mariadb", action=argparse.BooleanOptionalAction, default=findMariaDB() is not None)
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="web-") as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        with makeDatabase("MariaDB" if args.mariadb else "SQLite", folder):
            for alias in ("leginondata", "appiondata"):
                createMissing(alias)
                readLiveTables(alias)
            costs, memory = [], 0.0
            for number, exposures in enumerate((FEW, args.exposures)):
                session = makeSession(folder, exposures, number)
                with runServer() as server:
                    costs.append(measure(server, session))
                    seen = measureBrowser(server, session)
                    askForPicture(server, session)
                    memory = server.measureMemory()
    show(args.exposures, *costs, memory)
    if seen:
        print(f"in Chromium, {args.exposures} exposures: numbers, tables and limits after {seen[0]:.1f} s, "
              f"charts after {seen[1]:.1f} s (limit: {USABLE / 1000:g} s)")  # fmt: skip
    return 0


def makeSession(folder: Path, exposures: int, number: int) -> Session:
    """A session that is done but for its last exposure."""
    session = Session(folder, exposures, name=f"26nov22{'ab'[number]}", first=1_000_000 * (number + 1))
    session.correct(session.exposures[:-1])
    session.estimate(session.exposures[:-1])
    session.saveStatus("motion", total=exposures, counts={"done": exposures - 1})
    return session


def measure(server: Server, session: Session) -> Cost:
    """Ask as a browser does that opens the page and stays on it; then count queries in this process."""
    server.ask()  # the first question opens connections
    clock = Clock(server, session)
    page = clock.measure("")
    rest = [clock.measure(what) for what in ("columns.json", "series.json", "squares.json")]
    usable = Spent(*(sum(getattr(one, key) for one in (page, *rest)) for key in ("processor", "elapsed")))
    again, updates = clock.measure("series.json"), []
    answer = server.ask(session.url("series.json")).content
    assert len(json.loads(answer)["order"]) == len(session.exposures)
    for _ in range(UPDATES):
        cursor = json.loads(server.ask(session.url("series.json")).content)["cursor"]
        session.correct(session.take(1))
        time.sleep(1.5)  # what was looked at a moment ago is not looked at again
        updates.append(clock.measure(f"series.json?since={cursor}"))
    update = Spent(*(sorted(getattr(one, key) for one in updates)[UPDATES // 2] for key in ("processor", "elapsed")))
    return Cost(page, usable, again, update, *countQueries(session), len(answer))


def measureBrowser(server: Server, session: Session) -> tuple[float, float] | None:
    """Return after how many seconds a page can be used, and has its charts; None without Chromium."""
    path = shutil.which("chromium")
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=[*options, "--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(server.address)  # whatever the browser itself takes at its first page
        start = time.perf_counter()
        page.goto(server.address + session.url().lstrip("/"))
        page.wait_for_selector("#session[aria-busy=false]")
        usable = time.perf_counter() - start
        page.wait_for_selector("#trends[data-ready]")
        charts = time.perf_counter() - start
        browser.close()
    return usable, charts


def askForPicture(server: Server, session: Session) -> None:
    """Ask for a picture of a large micrograph, which takes the most memory."""
    folder = Path(session.made.image_path)
    folder.mkdir(parents=True)
    with mrcfile.new_mmap(folder / f"{session.nameExposure(session.exposures[0])}.mrc", LARGE, mrc_mode=2):
        pass
    assert server.ask(session.url(f"picture/{session.exposures[0]}.jpg?size=4096")).status == 200


class Clock:
    """Measures what answers take."""

    def __init__(self, server: Server, session: Session) -> None:
        self.server, self.session = server, session

    def measure(self, what: str) -> Spent:
        """Ask for something of the session."""
        processor, start = self.server.measureProcessor(), time.perf_counter()
        answer = self.server.ask(self.session.url(what), Accept_Encoding="gzip")
        elapsed = time.perf_counter() - start
        assert answer.status == 200, answer.content[:300]
        return Spent(1000 * (self.server.measureProcessor() - processor), 1000 * elapsed)


def countQueries(session: Session) -> tuple[int, int]:
    """Return how many queries all that a page asks for at first takes, and an update."""
    applySettings(["testserver"])
    browser = Client()
    browser.get(session.url())  # finds the databases, whose queries are counted from then on
    table.FRESH = 1e6  # nobody looks again while it is counted
    with sinedon.countQueries() as first:
        browser.get(session.url())
        answer = browser.get(session.url("series.json")).json()
        browser.get(session.url("squares.json"))
    session.correct(session.take(1))
    table.FRESH = 0.0
    with sinedon.countQueries() as update:
        browser.get(session.url("series.json"), {"since": answer["cursor"]})
    return first.count, update.count


def show(exposures: int, few: Cost, many: Cost, memory: float) -> None:
    """Print what was measured beside what is promised, which is of processor time: a busy machine takes longer."""
    print(f"{'':<44} {FEW:>9} {exposures:>9} {'ratio':>7} {'limit':>7} {'elapsed':>9}")
    for words, key, limit in (
        ("page (ms)", "page", FIRST), ("page and all it asks for, first time (ms)", "usable", USABLE),
        ("all numbers once more (ms)", "again", ""), ("what is new (ms)", "update", UPDATE),
    ):  # fmt: skip
        one, other = getattr(few, key), getattr(many, key)
        print(f"{words:<44} {one.processor:>9.0f} {other.processor:>9.0f} {other.processor / one.processor:>7.1f} "
              f"{limit:>7} {other.elapsed:>9.0f}")  # fmt: skip
    for words, key in (("queries of all, first time", "queries"), ("queries of what is new", "update_queries"),
                       ("numbers (bytes)", "size")):  # fmt: skip
        one, other = getattr(few, key), getattr(many, key)
        print(f"{words:<44} {one:>9} {other:>9} {other / one:>7.1f}")
    print(f"{'memory of the server at most (MB)':<44} {'':>9} {memory:>9.0f} {'':>7} {MEMORY:>7}")


if __name__ == "__main__":
    sys.exit(main())
