"""Debian's Chromium, and pages in it that may not have anything to complain of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.web.browser.ground import NAME, Ground, prepareGround

#: Milliseconds that anything may take on a busy machine.
PATIENCE = 120_000
#: A folder to which the pictures of pages go that the documentation shows.
PICTURES = "APPION_PICTURES"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser. Without one its tests are skipped, or fail where CI is set.

    It is closed with the module: while there is one, an event loop runs here, and Django takes that amiss.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        message = "Chromium is not installed: apt-get install chromium fonts-dejavu-core"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=[*options, "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def ground(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Sessions and a server, shared by the tests of a module."""
    assert chromium.is_connected()
    with prepareGround(tmp_path_factory.mktemp("browser")) as made:
        yield made


class Visit:
    """A person at a browser.

    Attributes:
        page: what they see. complaints: what the browser's console had to say against it.
    """

    def __init__(self, browser: Browser, ground: Ground, **options: object) -> None:
        self.ground = ground
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})  # type: ignore
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def openSession(self, name: str = NAME, words: str = "", charts: bool = True) -> Page:
        """Open a session page and wait until it shows something."""
        self.page.goto(f"{self.ground.address}session/{quote(name)}/{words and '?'}{words}")
        self.page.wait_for_selector("#session[aria-busy=false]")
        if charts:
            self.page.wait_for_selector("#trends[data-ready]")
        return self.page

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def visit(chromium: Browser, ground: Ground) -> Iterator[Visit]:
    """A visit at the end of which the console must be silent: no error, nothing that the policy had to stop."""
    made = Visit(chromium, ground)
    yield made
    made.close()
    assert made.complaints == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures of pages go."""
    folder = Path(os.environ.get(PICTURES) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
