"""The page in a real Chromium: every chart is drawn, nothing overflows a phone, and no request leaves the page.

Skipped, visibly, where there is no browser: Chromium is found by XISUAN_CHROMIUM, else by its usual names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulations.report.page import PageOptions, write_page
from tests.report.made_results import results

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("XISUAN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (set XISUAN_CHROMIUM)")


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(results({"fifo": 200.0, "easy": 100.0, "价格优先": 150.0}), path, PageOptions())
    return path


@pytest.mark.parametrize("width", [1440, 390])
def test_charts_are_drawn_nothing_overflows_and_nothing_is_asked_of_a_network(
    browser: playwright.Browser, page_file: Path, width: int
) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_function(
        "document.querySelectorAll('.chart').length === document.querySelectorAll('.chart svg').length"
    )
    assert errors == []
    assert asked == [page_file.as_uri()]
    assert page.locator(".chart").count() >= 6
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    outside = page.evaluate(
        "[...document.querySelectorAll('.card')].filter(c => [...c.querySelectorAll('.chart svg')].some("
        "s => s.getBoundingClientRect().right > c.getBoundingClientRect().right + 1)).length"
    )
    assert outside == 0
    assert page.locator("#answer").bounding_box()["y"] < 300
    page.close()


def test_even_a_page_that_wanted_to_could_not_reach_out(browser: playwright.Browser, page_file: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.goto(page_file.as_uri())
    page.on("request", lambda request: asked.append(request.url))
    refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'reached', () => 'refused')")
    page.close()
    assert refused == "refused" and asked == []
