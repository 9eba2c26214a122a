"""The HTML page: whole in itself, verdict first, safe against every name, readable by everyone."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("jinja2", reason="HTML reports need the report extra")

from leak_suite.clauses import Clause, ClauseKind, Part, plain
from leak_suite.errors import ConfigurationError
from leak_suite.render import html_page, render
from leak_suite.render.html_page import html, render_many
from leak_suite.render.html_theme import PART_COLOURS, THEMES
from leak_suite.result import Cause, Details, Outcome, RunResult, Site
from tests.leak_suite.html_results import FDS, HEAP, MIB, RESULT, Page, charts_of, ramp


def test_the_verdict_and_its_line_stand_first() -> None:
    page = Page(html(RESULT))
    said = page.text
    assert said.index("Growing") < said.index("heap grows by 1.02 KiB per iteration")
    first = [
        said.index(part) for part in ("heap grows by", "12 in run", "iterations", "All metrics")
    ]
    assert first == sorted(first)


def test_growing_metrics_are_open_and_before_the_others() -> None:
    text = html(RESULT)
    assert text.index('<article class="metric growing"') < text.index(
        '<details class="metric stable"'
    )
    assert '<details class="metric stable" id="run1-m2">' in text


def test_everything_that_a_finding_knows_is_on_the_page() -> None:
    said = Page(html(RESULT)).text.replace("​", "")
    for part in (
        "1.02 KiB [1.01, 1.03]",
        "12.3 B",
        "45 MiB",
        "1.02 KiB per iteration",
        "in KEPT",
        "7 go",
        HEAP.reason_of(Part.SITES),
        "tasks: no loop",
        "MALLOC_ ARENA_ MAX=1",
        "What was there at the end (3)",
        "2 \u00d7 a",
    ):
        assert part in said, part


def test_a_page_asks_nothing_of_the_network() -> None:
    page = Page(html(replace(RESULT, details=Details(flamegraphs={"peak": "peak.html"}))))
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name) or ""
            assert value in ("", "data:,") or value.startswith("#") or value == "peak.html", (
                tag,
                value,
            )
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "url(" not in html_page._style()
    assert "@import" not in html_page._style()


def test_links_to_flamegraphs_stay_on_this_machine() -> None:
    pages = {
        "ok": "flame graphs/a.html",
        "js": "javascript:alert(1)",
        "net": "//host/x",
        "w": "https://h/",
    }
    links = [
        a["href"] for a in Page(html(replace(RESULT, details=Details(flamegraphs=pages)))).all("a")
    ]
    assert [link for link in links if link and not link.startswith("#")] == [
        "flame%20graphs/a.html"
    ]


RUDE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}<!-- ]]>\u2028</style>"


def test_no_name_can_become_markup() -> None:
    site = Site(RUDE, 1, RUDE, 1.0, (RUDE,), RUDE)
    finding = replace(
        HEAP,
        metric=RUDE,
        cause=Cause.ACCEPTED,
        clauses=(Clause(ClauseKind.ACCEPTED, text=RUDE), *plain(RUDE)),
        unit=RUDE,
        sites=(site,),
    )
    rude = RunResult(
        RUDE,
        {RUDE: {RUDE: RUDE}},
        Outcome.GROWING,
        1,
        1.0,
        series=(ramp(RUDE, RUDE, 1.0), ramp("heap", RUDE, 1.0)),
        findings=(finding, replace(finding, metric="heap")),
        reason=RUDE,
        details=Details(
            command=(RUDE,), stopped=RUDE, blind={RUDE: RUDE}, not_observed=(RUDE,), iteration=RUDE
        ),
    )
    clean, page = Page(html(RESULT)), Page(html(rude))
    assert len(page.all("script")) == len(clean.all("script"))
    assert len(page.all("style")) == 1
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    assert "49" not in page.text.split("command")[0]
    assert charts_of(html(rude))  # and its data can still be read


@given(name=st.text(min_size=1, max_size=20))
def test_any_name_leaves_the_page_in_one_piece(name: str) -> None:
    result = replace(RESULT, subject=name, findings=(replace(HEAP, clauses=plain(name)),))
    page = Page(html(result))
    assert page.elements[-1][0] == "script"
    assert [tag for tag, _ in page.elements].count("main") == 1


def test_a_page_is_below_two_mebibytes_even_of_five_long_runs() -> None:
    series = tuple(ramp(f"tracked:Class{k}", "objects", 1.0, 48) for k in range(20))
    findings = tuple(replace(HEAP, metric=one.metric, unit="objects") for one in series)
    runs = [replace(RESULT, subject=f"job{k}", series=series, findings=findings) for k in range(5)]
    assert len(render_many(runs).encode()) < 2 * MIB
    assert len(html(RESULT).encode()) < 1.3 * MIB


def test_very_many_readings_are_thinned_with_the_last_one_kept() -> None:
    long = replace(RESULT, series=(ramp("heap", "bytes", 1.0, 20_001),), findings=(HEAP,))
    (chart,) = charts_of(html(long)).values()
    assert len(chart["x"]) <= 801
    assert chart["x"][-1] == 2_000_000
    assert " of 20,001 readings" in Page(html(long)).text
    assert len(html(long).encode()) < 2 * MIB


def test_the_same_result_gives_the_same_page() -> None:
    assert html(RESULT) == html(RESULT)


def test_several_runs_stand_worst_first_under_one_verdict() -> None:
    stable = replace(RESULT, subject="calm", outcome=Outcome.STABLE, findings=(FDS,), reason="calm")
    text = render_many([stable, RESULT])
    said = Page(text).text
    assert "1 of 2 runs found something that grows" in said
    assert text.index('id="run1-title"') < text.index('id="run2-title"')
    assert said.index("jobs") < said.rindex("calm")
    with pytest.raises(ConfigurationError, match="at least one"):
        render_many([])


def test_headings_go_down_one_step_at_a_time() -> None:
    levels = [int(tag[1]) for tag, _ in Page(html(RESULT)).elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_every_table_says_what_it_holds_and_what_its_heads_are_for() -> None:
    page = Page(html(RESULT))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("caption") == tags.count("table") > 2
    assert all(head.get("scope") in ("row", "col") for head in page.all("th"))
    assert {"header", "main", "footer"} <= set(tags)
    identities = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identities) == len(set(identities))
    assert page.all("html") == [{"lang": "en"}]


def test_every_chart_has_words_and_a_table_in_its_place() -> None:
    page = Page(html(RESULT))
    figures = page.all("figure")
    assert len(figures) == 2
    assert all(figure["tabindex"] == "0" for figure in figures)
    assert "heap grew by 1.02 KiB per iteration" in (figures[0]["aria-label"] or "")
    assert sum(a.get("class") == "readings" for a in page.all("table")) == 2
    assert "40,104,400" in page.text.replace("40104400", "40,104,400")


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", THEMES)
def test_text_stands_out_from_what_is_behind_it(name: str) -> None:
    theme = THEMES[name]
    for back in ("page", "surface"):
        for front in ("text", "muted", "accent", "bad", "warn", "good"):
            assert contrast(theme[front], theme[back]) >= 4.5, (front, back)
    for tone in ("bad", "warn", "good"):
        assert contrast(theme[tone], theme[f"{tone}-wash"]) >= 4.5, tone
    for line in ("reading", "fit", "tolerance", "warm-up"):
        assert contrast(theme[line], theme["surface"]) >= 3.0, line
    for colour in PART_COLOURS[name]:
        assert contrast(colour, theme["surface"]) >= 3.0, colour


def test_the_command_as_given_is_preferred() -> None:
    given = replace(RESULT, details=Details(command=("leak-suite", "run", "a b:c", "--seed", "1")))
    assert html_page.build_view(given, 1).command == "leak-suite run 'a b:c' --seed 1"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    html_page._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigurationError, match=r"install leak-suite\[report\]"):
        render(RESULT, "html")
    html_page._environment.cache_clear()


def test_the_embedded_library_is_the_one_that_is_named() -> None:
    import hashlib

    folder = Path(html_page.__file__).parent / "vendor"
    digest = hashlib.sha256((folder / "plotly-basic.min.js").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()
    assert "MIT License" in (folder / "plotly-LICENSE.txt").read_text()
    assert "</script" not in (folder / "plotly-basic.min.js").read_text().lower()


def test_one_leak_in_several_metrics_is_open_once() -> None:
    rss = replace(HEAP, metric="rss", sites=())
    text = html(replace(RESULT, findings=(FDS, HEAP, rss)))
    assert text.count('<article class="metric growing"') == 1
    assert text.count('<details class="metric growing"') == 1
    assert text.index("What is not stable") < text.index("The same causes in other metrics")
