"""The page in a real browser: from a file, on a phone and a desk, in light and dark."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from board_records import plausible, record, share
from playwright.sync_api import sync_playwright
from synthward.leaderboard.build import build
from synthward.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
# A luminance contrast below this is hard to read for many: WCAG 2.1, criterion 1.4.3 (AA).
AA = 4.5
CONTRASTS = """
() => {
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (text) => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = text; context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data;
  };
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .map((e) => {
      const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 80)];
    });
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        lacking = "the page is tested in a browser, and none is installed: on Debian, apt-get install chromium"
        pytest.fail(lacking) if os.environ.get("CI") else pytest.skip(lacking)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(plausible(), tmp_path_factory.mktemp("board"))


def open_page(browser: Browser, path: Path, width: int, scheme: str = "light") -> tuple[Page, list[str]]:
    """A page, and all that it said on the console, failed to do or asked for."""
    page = browser.new_page(
        viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    events: list[str] = []
    page.on("console", lambda message: events.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: events.append(f"error: {error}"))
    page.on("request", lambda request: events.append(request.url))
    page.goto(path.as_uri())
    return page, events


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_from_a_file_in_peace_and_fits(browser: Browser, board: Path, width: int, scheme: str) -> None:
    page, events = open_page(browser, board, width, scheme)
    assert events == [board.as_uri()]
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    table = page.locator("table.board").first
    assert table.is_visible()
    box = table.locator("xpath=..").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert len(set(page.screenshot())) > 100
    # The style sheet is in force: the policy's hash is that of its text.
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(251, 251, 249)" if scheme == "light" else "rgb(17, 23, 22)"
    )
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(browser: Browser, board: Path, scheme: str) -> None:
    page, _ = open_page(browser, board, 1280, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 500
    assert [c for c in contrasts if c[0] < AA] == []
    page.close()


def test_the_name_of_the_generator_stays_in_sight(browser: Browser, board: Path) -> None:
    page, _ = open_page(browser, board, 390)
    scroller = page.locator(".scroll").first
    name = scroller.locator("tbody th").first
    before = name.bounding_box()
    scroller.evaluate("(element) => { element.scrollLeft = 400; }")
    assert scroller.evaluate("(element) => element.scrollLeft") == 400
    assert name.bounding_box() == before
    page.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_what_a_row_says_of_memory_leads_to_the_tests_behind_it(browser: Browser, board: Path, width: int) -> None:
    page, _ = open_page(browser, board, width)
    link = page.locator("table.board a", has_text="memorised: 1 of 5 tables, 2 not tested").first
    link.click()
    heading = page.locator("#contamination-1")
    box = heading.bounding_box()
    assert box is not None
    assert -1 <= box["y"] < 844
    table = page.locator("table.board", has=page.locator("tbody.contamination"))
    assert table.locator(".above").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_a_hostile_record_runs_nothing_and_breaks_no_layout(browser: Browser, tmp_path: Path) -> None:
    evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">" + "x" * 300
    params = {evil: evil, "llm": {"endpoint": "embedded", "model": evil}}
    told = {"m": 0.5, "memorisation": [share("header", 1, 4, 0.0, status=Status.PARTIAL, reason=evil)]}
    records = [record(evil, evil, seed, told, title=evil, params=params) for seed in (0, 1)]
    path = build(records, tmp_path)
    page, events = open_page(browser, path, 390)
    assert events == [path.as_uri()]
    assert page.title() == "synthward leaderboard"
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()
