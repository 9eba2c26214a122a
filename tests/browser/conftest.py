"""A real Chromium for the tests of pages; without one they are skipped, and say why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _skip_or_fail(why: str) -> None:
    """Skip, or fail where LEAK_SUITE_REQUIRE_BROWSER says that there must be a browser."""
    if os.environ.get("LEAK_SUITE_REQUIRE_BROWSER"):
        pytest.fail(why)
    pytest.skip(f"PAGES ARE NOT TESTED: {why}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium with a profile of its own.

    For one module at a time: the driver's event loop must not stand in the way of other tests.
    """
    path = os.environ.get("LEAK_SUITE_CHROMIUM") or next(
        filter(None, map(shutil.which, _NAMES)), ""
    )
    if not path:
        _skip_or_fail("Chromium is not installed (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        _skip_or_fail("the Python package playwright is not installed")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield chromium
        chromium.close()


class Watch:
    """What a page did that it should not have: requests, console messages, errors, dialogs."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []

    def over(self, page: Any) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def visit(browser: Any, watch: Watch, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open the text of a page from a file, in a context of its own."""
    contexts = []

    def opened(text: str, **options: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        watch.over(page)
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
