"""The pages in a real browser: what a person does with mouse and keyboard, and what a screen reader finds."""

from __future__ import annotations

import io
import re
import sysconfig
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.web.browser.conftest import PATIENCE, Visit
from tests.web.browser.ground import COUNT, EVIL, EVIL_REASON, NAME, REASON

expect.set_options(PATIENCE)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press at one place, move in steps, let go at another."""
    page.mouse.move(*start)
    page.mouse.down()
    for step in range(1, 5):
        page.mouse.move(*(a + (b - a) * step / 4 for a, b in zip(start, end, strict=True)))
    page.mouse.up()


def savePicture(page: Page, path: Path, most: int = 2700) -> None:
    """Save a picture of a page from its top on, in 256 colours, which make the file small."""
    image = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    image.crop((0, 0, image.width, min(image.height, most))).quantize(256).save(path, optimize=True)


def replacePaths(page: Page, paths: dict[str, str]) -> None:
    """Have the text of a page show folders as they are called at a site."""
    page.evaluate("""(paths) => {
      const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        for (const [old, shown] of Object.entries(paths)) {
          texts.currentNode.data = texts.currentNode.data.replaceAll(old, shown);
        }
      }
    }""", paths)  # fmt: skip


def readCount(page: Page, selector: str = "#good-count") -> tuple[int, int]:
    """Return the numbers of "12 of 34"."""
    first, second = map(int, re.findall(r"\d+", page.locator(selector).inner_text())[:2])
    return first, second


def testAnExposureAppearsWithoutReloading(visit: Visit, capsys):
    ground = visit.ground
    ground.startDaemons()
    ground.expose(1)
    ground.expose(4)
    page = visit.openSession(ground.plan.session, charts=False)
    page.evaluate("window.stays = true")
    image = ground.expose(3)
    tile = page.locator(f"#film a[data-id='{image}']")
    expect(tile).to_have_class(re.compile("waiting"))
    stored = ground.awaitCorrected(image)
    expect(tile.locator("img")).to_be_visible()
    shown = time.time()
    with capsys.disabled():
        print(f" {shown - stored:.1f} s from the line of the series to the picture;", end="")
    expect(page.locator("[data-count=CTF] dd")).to_have_text(re.compile("[12]"))
    expect(tile).to_have_class(re.compile("good|bad"))
    page.wait_for_selector("#trends[data-ready]")
    assert page.evaluate("window.stays")


def testALimitIsDraggedAndTheCountFollows(visit: Visit):
    page = visit.openSession()
    before, known = readCount(page)
    assert 0 < before < known
    handle = page.get_by_role("slider", name="Limit of drift")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    drag(page, middle, (middle[0], middle[1] + 45))
    limit = float(handle.get_attribute("aria-valuenow") or "")
    assert limit < 50
    after, _ = readCount(page)
    assert after < before
    expect(page.locator("#limit-drift")).to_have_value(f"{limit:g}")
    expect(page).to_have_url(re.compile(f"limit-drift={limit:g}"))
    expect(page.locator("#limits tr[data-column=drift] .pass")).to_contain_text(f"of {known}")
    handle.focus()
    page.keyboard.press("PageUp")
    assert float(handle.get_attribute("aria-valuenow") or "") > limit
    page.fill("#limit-drift", "5")
    page.keyboard.press("Enter")
    expect(page.locator("#good-count")).to_have_text(f"0 of {known}")
    page.click("#limits-reset")
    expect(page.locator("#good-count")).to_have_text(f"{before} of {known}")


def testABrushChoosesEverywhereAndALinkShowsTheSame(visit: Visit, chromium):
    page = visit.openSession()
    _, known = readCount(page)
    page.evaluate("document.getElementById('trends').scrollIntoView()")
    box = page.locator("#trends").bounding_box()
    assert box
    drag(page, (box["x"] + 200, box["y"] + 190), (box["x"] + 450, box["y"] + 200))
    expect(page.locator("#brush-words")).to_contain_text(f"of {COUNT} exposures chosen")
    chosen = readCount(page, "#brush-words")[0]
    good = page.locator("#good-count").inner_text()
    assert 10 < chosen < COUNT / 2
    expect(page.locator("#table-words")).to_have_text(f"{chosen} of {COUNT} exposures")
    page.click("th[data-column=drift] button")
    expect(page.locator("th[data-column=drift]")).to_have_attribute("aria-sort", "descending")
    first = page.locator("#table-body tr").first.get_attribute("data-id")
    expect(page).to_have_url(re.compile("sort=-drift"))
    other = Visit(chromium, visit.ground)
    other.page.goto(page.url)
    expect(other.page.locator("#table-words")).to_have_text(f"{chosen} of {COUNT} exposures")
    expect(other.page.locator("#good-count")).to_have_text(good)
    assert other.page.locator("#table-body tr").first.get_attribute("data-id") == first
    other.close()
    assert other.complaints == []
    page.click("#brush-clear")
    expect(page.locator("#brush-words")).to_have_text(f"All {COUNT} exposures")
    assert readCount(page)[1] == known


def testThePointerIsToldWhatIsBelowIt(visit: Visit):
    page = visit.openSession()
    page.evaluate("document.getElementById('trends').scrollIntoView()")
    box = page.locator("#trends .scatterlayer .point").nth(40).bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] - 3, middle[1])
    page.mouse.move(*middle, steps=3)
    expect(page.locator("#hover")).to_be_visible()
    expect(page.locator("#hover")).to_contain_text("Å")
    name = page.locator("#hover strong").inner_text()
    page.mouse.click(*middle)
    expect(page.locator("#card-name")).to_have_text(name)
    page.mouse.move(5, 5)
    expect(page.locator("#hover")).to_be_hidden()


def testExposuresAreFilteredAndSquaresCompared(visit: Visit):
    page = visit.openSession(charts=False)
    page.select_option("#filter-show", "failed")
    expect(page.locator("#table-words")).to_have_text(f"1 of {COUNT} exposures")
    expect(page.locator("#table-body td.grade")).to_have_text(f"failed: {REASON}")
    expect(page.locator("#film .blank")).to_have_text(REASON)
    page.select_option("#filter-show", "all")
    name = visit.ground.made.nameExposure(visit.ground.made.exposures[7])
    page.fill("#filter-find", name.upper())
    expect(page.locator("#table-words")).to_have_text(f"1 of {COUNT} exposures")
    expect(page.locator("#table-body a")).to_have_text(name)
    page.fill("#filter-find", "")
    expect(page.locator("#squares-body tr.square")).to_have_count(3)
    worst = page.locator("#squares-body tr.square").first
    expect(worst.locator(".worse")).to_contain_text("times as many bad as elsewhere")
    expect(page.locator("#square-picture circle.hole")).to_have_count(9)
    worst.locator("button").click()
    expect(page.locator("#squares-body tr.hole")).to_have_count(9)
    expect(page.locator("#brush-words")).to_contain_text("of one grid square")


def testWordsOfDatabasesAndFilesStayText(visit: Visit):
    page = visit.openSession(EVIL, charts=False)
    expect(page.locator("h1")).to_have_text(EVIL)
    expect(page.locator("#film .blank").filter(has_text="alert")).to_have_text(EVIL_REASON)
    expect(page.locator("#table-body td.grade.failed")).to_have_text(f"failed: {EVIL_REASON}")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#card-reason")).to_have_text(EVIL_REASON)
    expect(page.locator("img[src=x]")).to_have_count(0)
    page.wait_for_selector("#trends[data-ready]")
    expect(page.locator("script:not([src])")).to_have_count(0)
    page.goto(visit.ground.address)
    expect(page.locator("#runs").get_by_role("link", name=EVIL).first).to_be_visible()
    page.goto(f"{visit.ground.address}session/<script>alert(4)")
    expect(page.locator("h1")).to_contain_text("<script>alert(4)")
    visit.complaints = [one for one in visit.complaints if "404" not in one]  # this session has no pictures


def testTheKeyboardMovesTheSelectedExposureAndOpensIt(visit: Visit):
    page = visit.openSession(charts=False)
    exposures = visit.ground.made.exposures
    page.keyboard.press("ArrowRight")
    expect(page.locator("#card-name")).to_have_text(visit.ground.made.nameExposure(exposures[-1]))
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    chosen = exposures[-7]
    expect(page.locator("#card-name")).to_have_text(visit.ground.made.nameExposure(chosen))
    expect(page.locator("#card-numbers")).to_contain_text("Å")
    expect(page.locator(f"#film a[data-id='{chosen}']")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile(f"selected={chosen}"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"/exposure/{chosen}/"))
    expect(page.locator("h1")).to_have_text(visit.ground.made.nameExposure(chosen))
    expect(page.locator("main")).to_contain_text("µm")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(f"/exposure/{exposures[-6]}/"))


def testTheFacilitySeesWhichRunIsInTrouble(visit: Visit):
    ground = visit.ground
    ground.startDaemons()
    ground.expose(1)
    ground.made.tell()
    page = visit.page
    page.goto(ground.address)
    mine = page.locator("#runs tbody tr").filter(has_text=NAME)
    expect(mine).to_have_count(2)
    expect(mine.filter(has_text="CTF, ctf1")).to_have_class("ok")
    expect(mine.filter(has_text="motion correction")).to_have_class("trouble")
    expect(page.locator("#runs tbody tr").filter(has_text="demo")).not_to_have_count(0)
    expect(mine.filter(has_text="motion correction")).to_contain_text("set aside")
    expect(page.locator("#keeper-words")).to_contain_text("at work")
    waiting = page.locator("#waiting tbody tr")
    expect(waiting.locator("td:first-child")).to_have_text(["backing off", "refused", "waiting", "not started"])
    expect(waiting.last).to_contain_text(EVIL_REASON)
    mine.filter(has_text="motion correction").get_by_role("link").click()
    expect(page.locator("h1")).to_have_text(NAME)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light")])
def testPagesCanBeReadByEverybody(chromium, ground, pictures, tmp_path, width, scheme):
    ground.made.tell()
    ground.startDaemons()
    ground.awaitEstimated(ground.expose(1))
    visit = Visit(chromium, ground, viewport={"width": width, "height": 900}, color_scheme=scheme)
    image = ground.made.exposures[-12]
    for name in ("facility", "session", "exposure"):
        if name == "session":
            page = visit.openSession(words=f"selected={image}")
            page.locator("#spread").scroll_into_view_if_needed()
            expect(page.locator("#histograms .js-plotly-plot")).to_have_count(6)
            page.wait_for_selector("#vectors .js-plotly-plot .trace, #vectors.js-plotly-plot .trace")
            page.wait_for_load_state("load")
        else:
            page = visit.page
            page.goto(ground.address if name == "facility" else
                      f"{ground.address}session/{ground.plan.session}/exposure/{ground.expose(1)}/")  # fmt: skip
            page.wait_for_load_state("networkidle")
        page.evaluate("scrollTo(0, 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        replacePaths(page, {str(ground.plan.folder): "/data", sysconfig.get_path("scripts"): "/opt/appion/bin"})
        savePicture(page, (pictures if scheme == "light" else tmp_path) / f"{name}-{width}.png")
        if (name, scheme, width) == ("session", "light", 1280):
            savePicture(page, pictures / "session.png", 1100)
        found = Axe().run(page).response["violations"]
        serious = [f"{one['id']}: {node['html'][:200]}: {node.get('failureSummary', '')[:300]}" for one in found
                   if one["impact"] in ("serious", "critical") for node in one["nodes"][:3]]  # fmt: skip
        assert serious == [], f"{name}: {serious}"
    visit.close()
    assert visit.complaints == []
