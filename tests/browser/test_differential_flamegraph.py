"""The page of a difference in a real browser: drawn, zoomed, described, and nothing fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leak_suite.flamegraph.differential import differential_page
from leak_suite.flamegraph.stacks import Difference, GraphFrame

MAIN = GraphFrame("main", "app.py", 3, own=True)
STACKS = {
    (MAIN, GraphFrame("keep", "app.py", 9, own=True)): (0.0, 10_000.0),
    (MAIN, GraphFrame("load", "app.py", 20, own=True)): (70_000.0, 70_000.0),
    (GraphFrame("drop", "app.py", 30, own=True),): (5_000.0, 1_000.0),
}


def test_it_draws_what_changed_and_on_demand_the_rest(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "difference.html"
    file.write_text(differential_page(Difference("base against head", "bytes", STACKS)))
    requests: list[str] = []
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    boxes = page.locator("#graph button")
    assert boxes.all_inner_texts() == ["all", "main", "keep", "drop"]
    page.locator("#whole").check()
    assert "load" in boxes.all_inner_texts()
    boxes.get_by_text("keep").focus()
    text = page.locator("#said").inner_text()
    assert text == "keep app.py:9: 0 → 10,000 (+10,000 bytes)"
    boxes.get_by_text("drop").press("Enter")
    assert boxes.all_inner_texts() == ["drop"]
    boxes.get_by_text("drop").press("Enter")
    assert "main" in boxes.all_inner_texts()
    assert requests == [file.as_uri()]
    assert errors == []
    page.close()
