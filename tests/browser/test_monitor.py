"""The dashboard in headless Chromium, while real jobs run: it moves, and asks nobody else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fixtures.clips import clip
from tests.reference_app.conftest import Server, served
from tests.reference_app.stand_in_engine import clip as outline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

POINTS = "Number(document.querySelector('#chart svg')?.dataset.points ?? 0)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real service, real pipeline and all."""
    spool = tmp_path_factory.mktemp("monitored") / "spool"
    with served(spool, "reference_app.main:app", MEMORY_INTERVAL_SECONDS="0.5") as running:
        yield running


@pytest.fixture
def dashboard(browser: Any, watch: Any, server: Server) -> Iterator[Callable[..., Any]]:
    contexts = []

    def opened(**options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        watch.over(page)
        page.goto(f"{server.http.base_url}/monitor")
        until(page, lambda: page.evaluate(POINTS) > 0)
        return page

    yield opened
    for context in contexts:
        context.close()


def until(page: Any, condition: Callable[[], Any], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, page.inner_text("main")
        page.wait_for_timeout(50)


def test_figures_and_chart_move_while_jobs_run(
    dashboard: Callable[..., Any], watch: Any, server: Server
) -> None:
    page = dashboard()
    loads: list[str] = []
    page.on("load", lambda: loads.append(page.url))
    points, resting = page.evaluate(POINTS), page.inner_text("#tree")
    assert page.inner_text("#processing") == "0"

    content = clip(width=1280, height=720, seconds=6).path.read_bytes()
    jobs = [server.upload(content).json()["job_id"] for _ in range(3)]
    until(page, lambda: page.inner_text("#processing") == "2")
    until(page, lambda: page.inner_text("#pending") == "1")
    until(page, lambda: int(page.inner_text("#workers").split()[0]) > 50)
    assert page.inner_text("#slots-said") == "2 of 2"
    assert page.inner_text("#tree") != resting
    if target := os.environ.get("LEAK_SUITE_SCREENSHOTS"):
        page.wait_for_timeout(6000)
        page.screenshot(path=str(Path(target) / "monitor.png"), full_page=True)
    for job in jobs:
        assert server.wait(job)["status"] == "completed"
    until(page, lambda: page.inner_text("#completed") == "3")
    until(page, lambda: page.inner_text("#workers") == "0 MiB")
    until(page, lambda: page.evaluate(POINTS) >= points + 2)

    assert loads == []
    own = urlsplit(str(server.http.base_url)).netloc
    hosts = {urlsplit(url).netloc for url in watch.requests if not url.startswith("data:")}
    assert hosts == {own}
    assert watch.errors == []


def test_an_error_is_shown_as_text(dashboard: Callable[..., Any], server: Server) -> None:
    page = dashboard()
    job = server.upload(outline("<img src=x onerror=alert(1)>")).json()["job_id"]
    failed = server.wait(job)
    assert failed["status"] == "failed"
    until(page, lambda: failed["error"] in page.inner_text("#errors"))
    assert page.locator("#errors img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(dashboard: Callable[..., Any], scheme: str) -> None:
    page = dashboard(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    label = page.get_attribute("#chart svg", "aria-label")
    assert label.startswith("Memory over the last")
    if target := os.environ.get("LEAK_SUITE_SCREENSHOTS"):
        page.screenshot(path=str(Path(target) / f"monitor-{scheme}.png"), full_page=True)


def test_it_says_when_the_service_is_gone_and_comes_back(dashboard: Callable[..., Any]) -> None:
    page = dashboard()
    page.context.set_offline(True)
    until(page, lambda: "does not answer" in page.inner_text("#status"))
    page.context.set_offline(False)
    until(page, lambda: page.inner_text("#status") in {"healthy", "warning", "critical"})
