"""Reports in a real browser: drawn, quiet on the network, and usable by eye, key and ear."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("jinja2", reason="HTML reports need the report extra")

from leak_suite.clauses import plain
from leak_suite.places import Place
from leak_suite.render.html_page import html, render_many
from leak_suite.render.index import Entry, index
from leak_suite.result import Cause, Finding, Outcome, RunResult, Series, Site

Visit = Callable[..., Any]
COUNT = 40


def series(metric: str, unit: str, rate: float, start: float) -> Series:
    values = (start + 500 * k * rate + 900 * math.sin(k) * (rate > 1) for k in range(COUNT))
    return Series(metric, unit, tuple((500 * k, value) for k, value in enumerate(values)), 6)


def finding(metric: str, unit: str, rate: float) -> Finding:
    grows = rate > 0
    return Finding(
        metric,
        unit,
        Outcome.GROWING if grows else Outcome.STABLE,
        Cause.LEAK if grows else Cause.NONE,
        rate=rate,
        interval=(rate * 0.97, rate * 1.03),
        detectable_rate=0.5,
        longest_period=4000,
        peak=6e7,
        clauses=plain(f"{metric} {'grew' if grows else 'stayed'} over 17,000 iterations."),
        # A line of its own for each metric: metrics with the same line are folded in.
        sites=(
            Site(
                "src/service/jobs.py",
                len(metric),
                "keep",
                rate,
                (Place("src/app.py", 7, "upload"),),
            ),
        )
        * grows,
    )


GROWS = {"heap": ("bytes", 1044.0, 4e7), "fds": ("descriptors", 1.0, 9.0)}
STAYS = {
    name: (unit, 0.0, start)
    for name, unit, start in (
        ("blocks", "blocks", 2.5e4),
        ("gc_objects", "objects", 7e3),
        ("threads", "threads", 4.0),
        *((f"tracked:VeryLongClassNameOfSomebody{k}", "objects", 2.0) for k in range(15)),
    )
}


def run(subject: str, metrics: dict[str, tuple[str, float, float]], outcome: Outcome) -> RunResult:
    return RunResult(
        subject,
        {"python": "3.11.7", "executable": "/usr/local/lib/" + "very_long_folder_name/" * 6},
        outcome,
        19_500,
        4.2,
        series=tuple(series(name, *rest) for name, rest in metrics.items()),
        findings=tuple(finding(name, unit, rate) for name, (unit, rate, _) in metrics.items()),
    )


LEAK = run("service.main:app under tests.load:upload", {**STAYS, **GROWS}, Outcome.GROWING)
CALM = run("service.main:app under tests.load:status", STAYS, Outcome.STABLE)
FIVE = [LEAK, *(replace(CALM, subject=f"{CALM.subject}{k}") for k in range(4))]

OPEN_ALL = "document.querySelectorAll('details').forEach(d => { d.open = true })"
DRAWN = "document.querySelectorAll('figure.chart .main-svg .scatterlayer .trace').length"


def figure(page: Any, metric: str) -> Any:
    return page.locator(f'figure[aria-label^="{metric} over"]')


def until(page: Any, expression: str) -> None:
    """Wait until it is true; the page's policy forbids the driver's own way of polling."""
    deadline = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(20)


def wait_for_chart(page: Any, metric: str) -> Any:
    found = figure(page, metric)
    found.scroll_into_view_if_needed()
    found.locator(".scatterlayer .trace").first.wait_for(state="attached")
    return found


def test_nothing_leaves_the_page_and_nobody_complains(visit: Visit, watch: Any) -> None:
    page = visit(render_many([LEAK, CALM]))
    page.evaluate(OPEN_ALL)
    figures = page.locator("figure.chart")
    assert figures.count() == len(GROWS) + 2 * len(STAYS)
    for k in range(figures.count()):
        figures.nth(k).scroll_into_view_if_needed()
        figures.nth(k).locator(".scatterlayer .trace").first.wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    assert len([url for url in watch.requests if not url.startswith("data:")]) == 1
    assert watch.errors == []


def test_a_chart_shows_readings_warm_up_rate_interval_and_tolerance(visit: Visit) -> None:
    page = visit(html(LEAK))
    chart = wait_for_chart(page, "heap")
    said = " ".join(chart.locator(".legendtext").all_text_contents())
    for part in ("readings", "fitted: 1.02 KiB per iteration", "interval", "tolerated", "warm-up"):
        assert part in said
    assert chart.locator(".scatterlayer .point").count() == COUNT + 1  # one belongs to both
    shade = chart.locator(".shapelayer path").bounding_box()
    assert shade["width"] > 30
    assert chart.locator(".fills path, .js-fill").count() >= 1


def test_charts_are_drawn_when_they_come_into_view(visit: Visit) -> None:
    page = visit(html(CALM))
    assert page.evaluate("typeof Plotly") == "undefined"  # all of them are folded in
    first = page.locator("details.metric").first
    first.locator("summary").first.click()
    first.locator(".scatterlayer .trace").first.wait_for(state="attached")
    assert page.locator(".main-svg .scatterlayer").count() == 1


def test_five_workloads_open_quickly(visit: Visit, record_property: Any) -> None:
    text = render_many(FIVE)
    spent = []
    for _ in range(3):
        page = visit(text)
        wait_for_chart(page, "fds")
        timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        spent.append(page.evaluate(timing))
    record_property("opened_in_ms", round(min(spent)))
    record_property("page_bytes", len(text.encode()))
    assert min(spent) < 3000  # a second on an idle machine; shared ones get some slack


def test_the_pointer_reads_a_value(visit: Visit) -> None:
    page = visit(html(LEAK))
    chart = wait_for_chart(page, "heap")
    box = chart.locator(".scatterlayer .point").nth(20).bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    chart.locator(".hoverlayer .hovertext").first.wait_for(state="attached")
    said = chart.locator(".hoverlayer").text_content()
    assert "MiB (" in said
    assert "iterations" in said


SPAN = "(([a, b]) => b - a)(document.querySelector('figure.chart .plot').layout.xaxis.range)"


def test_the_pointer_zooms(visit: Visit) -> None:
    page = visit(html(LEAK))
    chart = wait_for_chart(page, "fds")
    before = page.evaluate(SPAN)
    box = chart.locator(".nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 150, steps=8)
    page.mouse.up()
    until(page, f"{before} > 2 * ({SPAN})")


def test_the_keyboard_reaches_every_chart_and_reads_it(visit: Visit) -> None:
    page = visit(html(LEAK))
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.chart || ''"))
    assert {"run1-m1", "run1-m2"} <= reached
    chart = wait_for_chart(page, "heap")
    chart.focus()
    page.keyboard.press("End")
    said = chart.locator(".readout")
    assert "after 19,500 iterations: " in said.inner_text()
    page.keyboard.press("ArrowLeft")
    assert "after 19,000 iterations: " in said.inner_text()
    assert "MiB (" in said.inner_text()
    page.keyboard.press("ArrowRight")
    assert "after 19,500 iterations: " in said.inner_text()
    page.keyboard.press("Home")
    assert "after 0 iterations: " in said.inner_text()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_keyboard_zooms_and_comes_back(visit: Visit) -> None:
    page = visit(html(LEAK))
    wait_for_chart(page, "fds").focus()
    before = page.evaluate(SPAN)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate(SPAN) == pytest.approx(before / 4)
    page.keyboard.press("0")
    assert page.evaluate(SPAN) == pytest.approx(before)


def test_the_keyboard_unfolds_a_stable_metric(visit: Visit) -> None:
    page = visit(html(CALM))
    page.locator("details.metric summary").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    identity = page.evaluate("document.activeElement.dataset.chart")
    page.locator(f'figure[data-chart="{identity}"] .scatterlayer .trace').first.wait_for(
        state="attached"
    )


def test_a_link_to_a_folded_metric_unfolds_it(visit: Visit) -> None:
    page = visit(html(LEAK))
    page.get_by_role("link", name="gc_objects").click()
    page.locator("details.metric[open] .scatterlayer .trace").first.wait_for(state="attached")


def test_a_stable_run_among_others_is_folded_and_a_link_into_it_unfolds_it(visit: Visit) -> None:
    page = visit(render_many([LEAK, CALM]))
    assert page.locator("#run1 .fold").count() == 0
    assert not page.locator("#run2-m1").is_visible()
    page.evaluate("location.hash = 'run2-m1'")
    page.locator("#run2-m1 .scatterlayer .trace").first.wait_for(state="attached")


@pytest.mark.parametrize("name", ["one", "several", "index"])
def test_a_phone_does_not_scroll_sideways(visit: Visit, name: str) -> None:
    texts = {"one": lambda: html(LEAK), "several": lambda: render_many([LEAK, CALM])}
    texts["index"] = lambda: index([Entry("upload" * 9, "upload.html", LEAK)])
    page = visit(
        texts[name](), viewport={"width": 375, "height": 720}, is_mobile=True, has_touch=True
    )
    page.evaluate(OPEN_ALL)
    page.evaluate("window.scrollTo(0, 1500)")
    if name != "index":
        wait_for_chart(page, "heap")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


# Every text of the page with its colour and the first opaque one behind it.
SEEN = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const worst = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || element.closest("script")) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const front = element.closest("svg") ? rgb(style.fill) : rgb(style.color);
    const [a, b] = [light(front), light(behind(element))].sort((x, y) => y - x);
    worst.push([(a + 0.05) / (b + 0.05), walk.currentNode.data.trim().slice(0, 40)]);
  }
  return worst.sort((x, y) => x[0] - y[0]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_in_both_schemes(visit: Visit, scheme: str) -> None:
    page = visit(html(LEAK), color_scheme=scheme)
    page.evaluate(OPEN_ALL)
    wait_for_chart(page, "heap")
    seen = page.evaluate(SEEN)
    assert len(seen) > 100
    assert seen[0][0] >= 4.5, seen[:3]
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(245, 246, 248)", "dark": "rgb(15, 19, 24)"}[scheme]


def test_charts_follow_a_change_of_scheme(visit: Visit) -> None:
    page = visit(html(LEAK), color_scheme="light")
    wait_for_chart(page, "fds")
    paper = "document.querySelector('figure.chart .plot').layout.paper_bgcolor"
    assert page.evaluate(paper) == "#ffffff"
    page.emulate_media(color_scheme="dark")
    until(page, f"{paper} !== '#ffffff'")


def test_paper_gets_every_open_chart_in_light_colours(visit: Visit) -> None:
    page = visit(html(LEAK), color_scheme="dark")
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    until(page, f"{DRAWN} >= {2 * len(GROWS)}")
    layouts = "[...document.querySelectorAll('article .plot')].map(p => p.layout)"
    assert page.evaluate(f"{layouts}.every(l => l.paper_bgcolor === '#ffffff' && l.width < 700)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    until(page, f"{layouts}.every(l => l.paper_bgcolor !== '#ffffff')")


def test_assistive_technology_finds_verdict_charts_and_tables(visit: Visit) -> None:
    page = visit(html(LEAK))
    assert page.get_by_role("main").count() == 1
    assert "Growing" in page.get_by_role("heading", level=1).inner_text()
    chart = page.get_by_role(
        "group", name="heap over iterations. heap grew over 17,000 iterations."
    )
    assert chart.count() == 1
    assert page.get_by_role("table", name="Every metric, what was found").count() == 1
    assert page.get_by_role("columnheader", name="min. detectable").count() == 1
    wait_for_chart(page, "heap")
    assert chart.get_by_role("button", name="Zoom in").count() == 1
    assert page.locator("svg.main-svg:not([aria-hidden])").count() == 0
    hidden = "[aria-hidden=true] :is(a, button, [tabindex], summary)"
    assert page.locator(hidden).count() == 0


def test_without_scripts_everything_but_the_drawing_is_there(visit: Visit) -> None:
    page = visit(html(LEAK), java_script_enabled=False)
    article = page.locator("article.metric").nth(1)
    article.get_by_text("Readings as a table").click()
    assert article.locator("table.readings tbody tr").count() == COUNT
    assert "its readings are in the table below" in article.inner_text()


def test_no_name_runs_as_a_script(visit: Visit, watch: Any) -> None:
    rude = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    bad = replace(
        LEAK.findings[-1],
        metric=rude,
        clauses=plain(rude),
        sites=(Site(rude, 1, rude, 1.0, (rude,)),),
    )
    result = replace(LEAK, subject=rude, findings=(bad,), series=(series(rude, rude, 1.0, 9.0),))
    page = visit(html(result))
    page.locator(".scatterlayer .trace").first.wait_for(state="attached")
    page.locator("figure.chart").first.focus()
    page.keyboard.press("End")
    assert page.locator("figure .readout").first.inner_text().startswith("after 19,500")
    assert page.locator("img").count() == 0
    assert watch.errors == []
