"""Lines are ranked by what they add per iteration; every rule on made-up windows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from leak_suite import attribution
from leak_suite.attribution import attribute_afresh, explain
from leak_suite.attribution.plan import longest
from leak_suite.attribution.sites import contained, rank
from leak_suite.attribution.trace import Container, ItemPart, StackTotal, Trace, TraceFrame
from leak_suite.clauses import plain, wording
from leak_suite.options import Accepted, Options
from leak_suite.places import Place
from leak_suite.result import Finding, Outcome, Site
from leak_suite.subject import UrlSpec
from leak_suite.subject.agent_code import agent_module

Ownership = agent_module("tracing.ownership").Ownership
OWNER = Ownership(
    names=["installed"],
    libraries=["/lib/python3/site-packages/", "/lib/python3/"],
    instrumentation=["/suite/agent/"],
)
LEAK = TraceFrame("/app/jobs.py", 7, "keep")
CACHE = TraceFrame("/app/cache.py", 3, "look_up")
LIBRARY = TraceFrame("/lib/python3/json/decoder.py", 353, "raw_decode", "json")
TRACE = Trace(100, 200, {})
"""Windows of 100 and 200 iterations."""


def left(first: float, second: float, *stack: TraceFrame, **more: Any) -> StackTotal:
    return StackTotal(first, second, stack, **more)


def lines(sites: tuple[Site, ...]) -> list[int]:
    return [site.line for site in sites]


def grown(per_iteration: float = 1.0, *made: ItemPart, **more: Any) -> Container:
    what: dict[str, Any] = {
        "path": "app.SEEN", "own": True, "type": "dict", "length": 500, "bound": None,
        "steady": True, "entry_bytes": 100.0, "inserting": (((LEAK,), 1.0),),
    }  # fmt: skip
    return Container(per_iteration=per_iteration, made=made, **{**what, **more})


def test_what_the_first_window_left_is_the_rate() -> None:
    (site,) = rank(TRACE, [left(800, 1600, LEAK)])
    assert (site.file, site.line, site.per_iteration) == ("/app/jobs.py", 7, 8)
    assert not site.is_jump


def test_what_a_full_cache_made_in_the_second_window_stands_behind_a_leak_of_eight_bytes() -> None:
    sites = rank(TRACE, [left(0, 5e7, CACHE), left(800, 1600, LEAK)], rate=8.0)
    assert lines(sites)[0] == LEAK.line


def test_a_jump_stands_behind_what_grew_in_both_windows() -> None:
    sites = rank(TRACE, [left(600, 0, CACHE), left(100, 200, LEAK)], rate=7.0)
    assert lines(sites) == [LEAK.line, CACHE.line]
    assert sites[1].is_jump


def test_a_line_that_is_next_to_nothing_never_stands_before_one_that_jumped() -> None:
    sites = rank(TRACE, [left(1, 2, CACHE), left(0, 1800, LEAK)], rate=6.0)
    assert lines(sites) == [LEAK.line]


def test_the_site_is_the_innermost_own_frame_and_the_note_names_the_library() -> None:
    main = TraceFrame("/app/main.py", 40, "run")
    (site,) = rank(TRACE, [left(10, 20, LIBRARY, LEAK, main)])
    assert (site.file, site.line, site.function) == LEAK[:3]
    assert site.stack == (
        Place("/lib/python3/json/decoder.py", 353, "raw_decode"),
        Place("/app/jobs.py", 7, "keep"),
        Place("/app/main.py", 40, "run"),
    )
    assert "inside json" in site.note


def test_a_stack_without_own_frames_says_so() -> None:
    (site,) = rank(TRACE, [left(10, 20, LIBRARY)])
    assert site.file == LIBRARY.file
    assert "library code (json) with no own line" in site.note


def test_a_stack_without_any_frame_is_native() -> None:
    (site,) = rank(TRACE, [left(10, 20)])
    assert (site.file, site.line) == ("", 0)
    assert "native code" in site.note


def test_growth_without_a_line_never_hides_a_line() -> None:
    assert lines(rank(TRACE, [left(50, 100), left(10, 20, LEAK)])) == [LEAK.line]


def test_kinds_at_one_line_are_summed_and_named() -> None:
    made = [
        left(100, 200, LEAK, kind="app.Job", holder="app.JOBS[...]"),
        left(100, 200, LEAK, kind="dict"),
    ]
    (site,) = rank(TRACE, made, noun="objects")
    assert site.per_iteration == 2
    assert "1 app.Job per iteration" in site.note
    assert "held by app.JOBS[...]" in site.note


def test_of_lines_with_as_many_allocations_the_one_with_more_bytes_comes_first() -> None:
    made = [left(110, 220, CACHE, weight=3200), left(100, 200, LEAK, weight=120_000)]
    assert lines(rank(TRACE, made)) == [LEAK.line, CACHE.line]


def test_of_lines_of_the_same_order_the_one_in_own_code_comes_first() -> None:
    made = [left(20, 40, LIBRARY), left(10, 20, LEAK)]
    assert lines(rank(TRACE, made)) == [LEAK.line, LIBRARY.line]
    made = [left(50, 100, LIBRARY), left(10, 20, LEAK)]
    assert lines(rank(TRACE, made)) == [LIBRARY.line, LEAK.line]


def test_where_a_container_keeps_what_grew_the_inserting_line_comes_first() -> None:
    """The interpreter hands memory out again: its record names whoever had it before."""
    item = ItemPart((LEAK,), "dict", 232, 0, 2, 1)
    name = ItemPart((CACHE,), "str", 60, 0, 1, 0)
    kept = contained([grown(1.0, item, name)], "bytes")
    sites = rank(TRACE, [left(23_200, 46_400, LIBRARY), left(6000, 12_000, CACHE)], kept, rate=390)
    assert lines(sites)[0] == LEAK.line
    assert sites[0].per_iteration == 392  # the dictionary, its text, its entry in the container
    assert "made at /app/jobs.py" not in sites[0].note
    assert "held by app.SEEN (dict, 1 per iteration)" in sites[0].note


def test_what_a_cache_around_a_function_takes_in_belongs_to_the_line_that_makes_it() -> None:
    made = ItemPart((CACHE,), "bytes", 1200, 1200, 1, 0)
    cache = grown(1.0, made, path="app.render (its cache)")
    assert lines(rank(TRACE, [], contained([cache], "bytes"), rate=1300)) == [CACHE.line, LEAK.line]


def test_what_own_code_puts_in_belongs_to_that_line_and_says_where_it_was_made() -> None:
    made = ItemPart((CACHE,), "bytes", 1200, 1200, 1, 0)
    (site,) = rank(TRACE, [], contained([grown(1.0, made)], "bytes"), rate=1300)
    assert site.line == LEAK.line
    assert "made at /app/cache.py:3" in site.note


def test_objects_of_a_class_belong_to_the_line_that_makes_them() -> None:
    made = ItemPart((CACHE,), "app.Job", 48, 0, 1, 1)
    (site,) = rank(TRACE, [], contained([grown(1.0, made)], "objects", "Job"), rate=1.0)
    assert site.line == CACHE.line


def test_a_container_whose_growth_is_not_of_the_findings_order_does_not_lead() -> None:
    kept = contained([grown(0.01, ItemPart((CACHE,), "str", 60, 0, 1, 0))], "bytes")
    sites = rank(TRACE, [left(1e6, 2e6, LEAK)], kept, rate=10_000)
    assert lines(sites) == [LEAK.line]
    assert sites[0].note == ""


def test_a_container_that_stopped_growing_or_that_nobody_knows_explains_nothing() -> None:
    part = ItemPart((LEAK,), "str", 60, 0, 1, 0)
    assert contained([grown(1.0, part, steady=False)], "bytes") == []
    assert contained([grown(1.0, part, path="", inserting=())], "bytes") == []


def test_an_installed_target_is_its_own_code() -> None:
    assert OWNER.is_own("/lib/python3/site-packages/installed/core.py")
    assert OWNER.is_own("/lib/python3/site-packages/installed.py")
    assert not OWNER.is_own("/lib/python3/site-packages/other/core.py")
    assert not OWNER.is_own("<frozen importlib._bootstrap>")
    assert not OWNER.is_own("/suite/agent/loop.py")
    assert OWNER.is_instrumentation("/suite/agent/loop.py")


def test_runs_stay_short_where_what_leaks_is_scarce() -> None:
    def grows(metric: str, unit: str, rate: float) -> Finding:
        return Finding(metric, unit, Outcome.GROWING, rate=rate)

    assert longest([grows("counter:jobs", "jobs", 3)], 1e9) is None
    assert longest([grows("gc_objects", "objects", 100)], 1e9) == 100
    assert longest([grows("threads", "threads", 4)], 1e9) == 15
    assert longest([grows("heap", "bytes", 2**20)], 1e9) == 64
    assert longest([grows("fds", "fds", 5000)], 1e9) == 3


GROWING = Finding(
    "heap",
    "bytes",
    Outcome.GROWING,
    rate=110.0,
    sites=(
        Site(
            "/app/jobs.py",
            7,
            "keep",
            100.0,
            (Place("/lib/vendor/core.py", 3, "grab"), Place("/app/jobs.py", 7, "keep")),
        ),
        Site("/app/more.py", 9, "more", 10.0),
    ),
)
TODAY = date(2030, 1, 1)


def accepted(pattern: str, **more: object) -> Accepted:
    return Accepted(pattern, "vendor issue 12", **more)  # type: ignore[arg-type]


def test_growth_is_explained_when_every_site_that_matters_is_accepted() -> None:
    entries = [accepted("*/vendor/core.py:*"), accepted("/app/more.py:9 *")]
    found = explain(GROWING, entries, TODAY)
    assert found.explained
    assert "vendor issue 12" in wording(found.clauses, "heap", "bytes")


def test_a_site_that_nobody_accepted_leaves_the_finding_standing() -> None:
    assert not explain(GROWING, [accepted("*/vendor/core.py:*")], TODAY).explained


def test_an_expired_acceptance_does_not_count_and_says_so() -> None:
    found = explain(GROWING, [accepted("*", expires=date(2029, 12, 31))], TODAY)
    assert not found.explained
    assert "expired 2029-12-31" in wording(found.clauses, "heap", "bytes")
    assert explain(GROWING, [accepted("*", expires=TODAY)], TODAY).explained


def test_growth_above_what_is_accepted_says_by_how_much() -> None:
    found = explain(GROWING, [accepted("*", max_per_iteration=99.0)], TODAY)
    assert not found.explained
    assert "grows by 100 per iteration, above the 99" in wording(found.clauses, "heap", "bytes")
    assert explain(GROWING, [accepted("*", max_per_iteration=100.0)], TODAY).explained


def test_a_finding_without_sites_is_never_explained() -> None:
    bare = Finding("heap", "bytes", Outcome.GROWING, rate=5.0)
    assert not explain(bare, [accepted("*")], TODAY).explained


def test_a_subject_seen_from_outside_keeps_its_verdict_and_says_why_no_line_is_named() -> None:
    stable = Finding("fds", "fds", Outcome.STABLE, clauses=plain("flat"))
    growing = Finding("rss", "bytes", Outcome.GROWING, rate=5.0, clauses=plain("grows"))
    spec = UrlSpec("http://127.0.0.1:1/", "rss")
    found = attribute_afresh(spec, [stable, growing], iterations=9, warm_up=1, options=Options())
    assert found[0] is stable
    assert found[1].outcome is Outcome.GROWING
    assert "seen from outside" in found[1].reason


def test_what_a_call_makes_before_its_first_line_belongs_to_its_definition(tmp_path: Path) -> None:
    path = tmp_path / "jobs.py"
    path.write_text("KEPT = []\n\ndef job():\n    held = []\n    return lambda: held\n")
    (site,) = rank(TRACE, [left(10, 20, TraceFrame(str(path), 0, "job"))])
    assert (site.file, site.line, site.function) == (str(path), 3, "job")


def test_what_measures_is_never_named() -> None:
    package = Path(attribution.__file__).parent.parent
    owner = Ownership()
    for place in ("pytest_plugin/calling.py", "cli/commands.py", "check/check.py"):
        assert owner.is_instrumentation(str(package / place))
        assert not owner.is_own(str(package / place))
