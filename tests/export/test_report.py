"""`appion report`: one file that needs nothing else, in which every name and text of others is only text."""

import html
import json
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import sinedon
from appion.base.records.attempt import Attempt, encodeAttempt
from appion.base.records.runfolder import thumbnailPath
from appion.base.store.attempts import saveAttempts
from appion.base.store.runoptions import saveRunOptions
from appion.base.store.series import saveSeries
from appion.export.report import constructReport
from appion.export.runs import Run
from appion.export.session import Exposure, joinLines

EVIL = "<script>alert('x')</script>"
PLAIN = html.escape(EVIL)
START = 1795805000.0


def makeLines(number, seed=1):
    """Return lines of motion correction and of CTF estimation."""
    rng = np.random.default_rng(seed)
    motion, ctf = [], []
    for place in range(number):
        name = f"26nov27a_{place:05d}{EVIL if place == 3 else ''}enn"
        taken = {"name": name, "exposed": START + 10 * place, "stored": START + 10 * place + 40}
        drift = float(rng.gamma(8, 1.5))
        motion.append({"image": place, **taken, "drift": drift, "drift_jump": drift / 5, "frames": 40, "dose": 50.0})
        ctf.append({
            "image": number + place, **taken, "defocus1": 14000.0, "defocus2": 15000.0, "defocus": 14500.0,
            "astigmatism": 1000.0 * float(rng.random()), "ctf_resolution": 3 + float(rng.gamma(2, 0.5)),
            "confidence": 0.95, "spectrum": f"{place}-pow.jpg", "seconds_to_result": 40.0,
        })  # fmt: skip
    return motion, ctf


@pytest.fixture
def session(tmp_path):
    """Runs in folders as the daemons leave them, and their exposures."""
    motion, ctf = makeLines(30)
    runs = []
    for kind, lines in (("motion", motion), ("CTF", ctf)):
        rundir = tmp_path / "26nov27a" / kind / "run1"
        (rundir / ".appion").mkdir(parents=True)
        (rundir / "thumbs").mkdir()
        (rundir / "opimages").mkdir()
        saveSeries(rundir, lines)
        program = "motioncor2" if kind == "motion" else "ctffind4"
        saveRunOptions(rundir, program, {"bin": 2.0, "gainfile": f"/data/{EVIL}", "doseweight": True})
        status = {"session": "26nov27a", "version": "2026.11.26a", "host": EVIL, "started": START, "state": "ended",
                  "heartbeat": START + 500, "ended": "done",
                  "waiting_for": [{"count": 2, "reason": f"{EVIL} is away"}]}  # fmt: skip
        (rundir / ".appion" / "status.json").write_text(json.dumps(status))
        runs.append(Run(rundir, kind, f"run1{EVIL}", (1,), {line["image"]: line for line in lines}))
    failed = Attempt(image_id=7, filename=f"broken{EVIL}", kind="image", reason=f"the program said {EVIL}", count=3,
                     remedy=f"ask {EVIL}", next_try=None, last=START, infrastructure=0, command="", host="",
                     log_tail="")  # fmt: skip
    saveAttempts(runs[0].rundir, [encodeAttempt(failed)])
    grey = np.tile(np.arange(256, dtype=np.uint8), (512, 2))
    for line in motion:
        if "/" not in line["name"]:
            Image.fromarray(grey).save(thumbnailPath(runs[0].rundir, line["name"]))
    for line in ctf:
        Image.fromarray(grey).save(runs[1].rundir / "opimages" / line["spectrum"])
    exposures = [
        Exposure(one["image"], joinLines(one, other), motion=runs[0], ctfrun=runs[1])
        for one, other in zip(motion, ctf, strict=True)
    ]
    return exposures, runs


@pytest.fixture
def noDatabase(monkeypatch):
    """Names with a slash have no picture in the run folder, and no rows here to find the micrograph by."""
    monkeypatch.setattr("appion.export.pictures.readFiles", lambda *_: [])


@pytest.mark.usefixtures("noDatabase")
def test_whatIsOnThePage(session):
    exposures, runs = session
    page = constructReport(exposures, runs, where=f"name != '{EVIL}'")
    library = page.index("</script>", 100000)
    text = page[:5000] + page[library:]
    assert len(page) < 8e6
    assert "<h1>26nov27a</h1>" in text
    assert "<b>30</b> exposures" in text
    assert "<b>1</b> set aside" in text
    assert page.count("data:image/jpeg;base64,") >= 12
    assert "dose 50.0 e/Å²" in text
    assert "run by Appion 2026.11.26a" in text
    for said in ("the program said ", "ask ", "/data/", "name != &#x27;", "broken", "run1"):
        assert f"{said}{PLAIN}" in text, said
    assert f"{PLAIN} is away" in text
    assert EVIL not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", text)
    assert "<link" not in text
    assert "@import" not in text


@pytest.mark.usefixtures("sqlitedatabase")
def test_littleThatIsKnown(tmp_path):
    """One exposure, a folder of classic's, no numbers: there is a page."""
    sinedon.setup(1)
    rundir = tmp_path / "26nov27a" / "ctf" / "run1"
    rundir.mkdir(parents=True)
    run = Run(rundir, "motion", "run1", (1,), {})
    page = constructReport([Exposure(1, {"image": 1, "name": "a"}, motion=run)], [run], title="T")
    assert "<h1>T</h1>" in page
    assert "Nothing failed." in page


def findChromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.mark.usefixtures("noDatabase")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("width", [1280, 400])
def test_inABrowser(session, tmp_path, width):
    """It draws its plots without the network, runs nothing that a name holds, and nothing sticks out."""
    chromium = findChromium()
    if chromium is None:
        message = "Chromium is not installed: apt-get install --no-install-recommends chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    sync = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "report.html"
    path.write_text(constructReport(*session), encoding="utf-8")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        trouble: list[str] = []
        page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri(), timeout=300_000)
        page.wait_for_function("document.querySelectorAll('.main-svg').length > 8", timeout=300_000)
        point = page.locator(".trends .points path").nth(4)
        point.scroll_into_view_if_needed(timeout=300_000)
        point.hover(force=True, timeout=300_000)
        page.wait_for_selector(".hoverlayer .hovertext", timeout=300_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".pictures img").count() >= 12
        shown = page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
        assert shown is True
        browser.close()
    assert trouble == []


