"""Sites are ranked by what they add per iteration; every rule on made-up runs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from leak_suite import attribution
from leak_suite.attribution import attribute, explain
from leak_suite.attribution.ownership import Ownership
from leak_suite.attribution.plan import longest
from leak_suite.attribution.sites import Amount, Frame, Traced, rank
from leak_suite.clauses import plain, wording
from leak_suite.options import Accepted, Options
from leak_suite.result import Finding, Outcome, Site
from leak_suite.subject import UrlSpec

OWNER = Ownership(
    names=["installed"],
    libraries=["/lib/python3/site-packages/", "/lib/python3/"],
    machinery=["/suite/agent/"],
)
LEAK = Frame("/app/jobs.py", 7, "keep")
CACHE = Frame("/app/cache.py", 3, "look_up")
LIBRARY = Frame("/lib/python3/json/decoder.py", 353, "raw_decode")
AGENT = Frame("/suite/agent/loop.py", 90, "_repeat")


def runs(*lengths: int, **places: tuple[Frame | tuple[Frame, ...], list[float]]) -> list[Traced]:
    return [
        Traced(
            length,
            tuple(
                Amount(values[index], where if isinstance(where[0], Frame) else (where,))
                for where, values in places.values()
            ),
        )
        for index, length in enumerate(lengths)
    ]


def test_a_full_cache_of_megabytes_stands_behind_a_leak_of_eight_bytes() -> None:
    sites = rank(
        runs(50, 100, 200, cache=(CACHE, [5e7, 5e7, 5e7]), leak=(LEAK, [400, 800, 1600])), OWNER
    )
    assert [(site.file, site.line, site.per_iteration) for site in sites] == [
        ("/app/jobs.py", 7, 8)
    ]


def test_one_late_jump_stands_behind_what_grew_in_both_windows() -> None:
    sites = rank(runs(50, 100, 200, jump=(CACHE, [0, 0, 1e6]), leak=(LEAK, [50, 100, 200])), OWNER)
    assert [site.line for site in sites] == [LEAK.line, CACHE.line]
    assert "one jump" in sites[1].note


def test_a_jump_before_the_last_window_is_not_growth() -> None:
    sites = rank(runs(50, 100, 200, jump=(CACHE, [0, 1e6, 1e6]), leak=(LEAK, [1, 2, 4])), OWNER)
    assert [site.line for site in sites] == [LEAK.line]


def test_a_table_that_doubles_counts_as_steady() -> None:
    sites = rank(runs(50, 100, 200, table=(LEAK, [4096, 8192, 16384])), OWNER)
    assert "jump" not in sites[0].note


def test_the_site_is_the_innermost_own_frame_and_the_note_names_the_library() -> None:
    stack = (LIBRARY, LEAK, Frame("/app/main.py", 40, "run"), AGENT)
    (site,) = rank(runs(10, 20, leak=(stack, [10, 20])), OWNER)
    assert (site.file, site.line, site.function) == LEAK
    assert site.stack == (
        "/lib/python3/json/decoder.py:353 raw_decode",
        "/app/jobs.py:7 keep",
        "/app/main.py:40 run",
    )
    assert "inside json" in site.note


def test_a_stack_without_own_frames_says_so() -> None:
    (site,) = rank(runs(10, 20, leak=((LIBRARY, AGENT), [10, 20])), OWNER)
    assert site.file == LIBRARY.file
    assert "library code (json) with no own line" in site.note


def test_a_stack_without_any_frame_is_native() -> None:
    (site,) = rank([Traced(n, (Amount(n, ()),)) for n in (10, 20)], OWNER)
    assert (site.file, site.line) == ("", 0)
    assert "native code" in site.note


def test_kinds_at_one_line_are_summed_and_named() -> None:
    made = [
        Traced(
            n, (Amount(n, (LEAK,), "app.Job", "held by app.JOBS[...]"), Amount(n, (LEAK,), "dict"))
        )
        for n in (10, 20)
    ]
    (site,) = rank(made, OWNER, noun="objects")
    assert site.per_iteration == 2
    assert "1 app.Job per iteration" in site.note
    assert "held by app.JOBS[...]" in site.note


def test_of_lines_with_as_many_allocations_the_one_with_more_bytes_comes_first() -> None:
    made = [
        Traced(n, (Amount(1.1 * n, (CACHE,), weight=32 * n), Amount(n, (LEAK,), weight=1200 * n)))
        for n in (5, 10, 20)
    ]
    assert [site.line for site in rank(made, OWNER)] == [LEAK.line, CACHE.line]


def test_of_lines_of_the_same_order_the_one_in_own_code_comes_first() -> None:
    made = runs(10, 20, library=(LIBRARY, [20, 40]), leak=(LEAK, [10, 20]))
    assert [site.line for site in rank(made, OWNER)] == [LEAK.line, LIBRARY.line]
    made = runs(10, 20, library=(LIBRARY, [50, 100]), leak=(LEAK, [10, 20]))
    assert [site.line for site in rank(made, OWNER)] == [LIBRARY.line, LEAK.line]


def test_growth_without_a_line_never_hides_a_line() -> None:
    made = [Traced(n, (Amount(5 * n, ()), Amount(n, (LEAK,)))) for n in (5, 10, 20)]
    assert [site.line for site in rank(made, OWNER)] == [LEAK.line]


def test_runs_of_one_length_are_refused() -> None:
    with pytest.raises(ValueError, match="different length"):
        rank(runs(10, 10, leak=(LEAK, [1, 2])), OWNER)


def test_an_installed_target_is_its_own_code() -> None:
    assert OWNER.is_own("/lib/python3/site-packages/installed/core.py")
    assert OWNER.is_own("/lib/python3/site-packages/installed.py")
    assert not OWNER.is_own("/lib/python3/site-packages/other/core.py")
    assert not OWNER.is_own("<frozen importlib._bootstrap>")
    assert not OWNER.is_own("/suite/agent/loop.py")


def test_runs_stay_short_where_what_leaks_is_scarce() -> None:
    def grows(metric: str, unit: str, rate: float) -> Finding:
        return Finding(metric, unit, Outcome.GROWING, rate=rate)

    assert longest([grows("counter:jobs", "jobs", 3)], 1e9) is None
    assert longest([grows("gc_objects", "objects", 100)], 1e9) == 100
    assert longest([grows("threads", "threads", 4)], 1e9) == 15
    assert longest([grows("heap", "bytes", 2**20)], 1e9) == 64
    assert longest([grows("fds", "fds", 5000)], 1e9) == 4


GROWING = Finding(
    "heap",
    "bytes",
    Outcome.GROWING,
    rate=110.0,
    sites=(
        Site(
            "/app/jobs.py", 7, "keep", 100.0, ("/lib/vendor/core.py:3 grab", "/app/jobs.py:7 keep")
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
    found = attribute(spec, [stable, growing], iterations=9, warm_up=1, options=Options())
    assert found[0] is stable
    assert found[1].outcome is Outcome.GROWING
    assert "seen from outside" in found[1].reason


def test_a_line_that_is_next_to_nothing_never_stands_before_one_that_jumped() -> None:
    made = runs(50, 100, 200, dust=(CACHE, [1, 2, 4]), leak=(LEAK, [0, 0, 600]))
    assert [site.line for site in rank(made, OWNER, rate=6.0)] == [LEAK.line]
    steady = runs(50, 100, 200, leak=(CACHE, [50, 100, 200]), jump=(LEAK, [0, 0, 600]))
    assert [site.line for site in rank(steady, OWNER, rate=7.0)] == [CACHE.line, LEAK.line]


def test_windows_that_were_cut_count_by_their_own_iterations() -> None:
    made = runs(90, 100, 200, leak=(LEAK, [540, 600, 1200]), dust=(CACHE, [0, 1, 2]))
    (site,) = rank(made, OWNER, rate=6.0)
    assert (site.line, site.per_iteration) == (LEAK.line, 6)
    assert "jump" not in site.note


def test_what_a_call_makes_before_its_first_line_belongs_to_its_definition(tmp_path: Path) -> None:
    path = tmp_path / "jobs.py"
    path.write_text("KEPT = []\n\ndef job():\n    held = []\n    return lambda: held\n")
    (site,) = rank(runs(10, 20, cells=(Frame(str(path), 0, "job"), [10, 20])), OWNER)
    assert (site.file, site.line, site.function) == (str(path), 3, "job")


def test_what_measures_is_never_named() -> None:
    package = Path(attribution.__file__).parent.parent
    owner = Ownership()
    for place in ("pytest_plugin/calling.py", "cli/commands.py", "check/check.py"):
        assert owner.is_machinery(str(package / place))
        assert not owner.is_own(str(package / place))
