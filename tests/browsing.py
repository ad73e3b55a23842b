"""A real browser, and what a page does in it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def chromium() -> Iterator[Browser]:
    """The browser of this machine: none is a failure in CI, which installs it."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        lacking = "the page is tested in a browser, and none is installed: on Debian, apt-get install chromium"
        pytest.fail(lacking) if os.environ.get("CI") else pytest.skip(lacking)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield browser
        browser.close()


class Visit:
    """A page that is open, and all that it said on the console, failed to do or asked for."""

    def __init__(self, browser: Browser, address: str, width: int = 1280, scheme: str = "light") -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
        )
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_load_state()

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.page.close()

    def peaceful(self, folder: Path) -> bool:
        """Whether it complained of nothing and asked for nothing outside its folder."""
        assert self.complaints == []
        outside = [url for url in self.requests if not url.startswith((f"{folder.as_uri()}/", "data:,"))]
        assert outside == []
        return True
