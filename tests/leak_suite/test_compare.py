"""What counts as a change between two sets of runs, on made-up runs, and the command's statuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leak_suite.cli import main
from leak_suite.compare import Comparison, MinRate, compare, profile, profiles
from leak_suite.errors import ConfigurationError
from leak_suite.result import Finding, Outcome, RunResult, Series
from leak_suite.subject import PidSpec

KIB, MIB = 1024, 1024**2
HERE = {"platform": "linux", "machine": "x86_64", "python": "3.11.7", "allocator": "glibc"}


def run(
    peak: float = 50 * MIB,
    footprint: float = 30 * MIB,
    blocks: float = 90_000,
    *,
    rate: float | None = None,
    noise: float = 8 * KIB,
    subject: str = "job:work",
    outcome: Outcome | None = None,
    environment: dict[str, Any] = HERE,
) -> RunResult:
    """A run that reads these levels; with a `rate`, its heap grows by that."""
    growing = Outcome.STABLE if rate is None else Outcome.GROWING
    peaks = tuple((i, peak + noise * (i % 3 - 1)) for i in range(1, 20))
    rss = tuple((i, footprint + (0 if i == 1 else 4 * MIB)) for i in range(1, 20))
    held = tuple((i, blocks) for i in range(1, 20))
    interval = None if rate is None else (rate * 0.99, rate * 1.01)
    return RunResult(
        subject,
        environment,
        outcome or growing,
        19,
        1.0,
        (
            Series("peak", "bytes", peaks, 2),
            Series("rss", "bytes", rss, 2),
            Series("blocks", "blocks", held, 2),
        ),
        (Finding("heap", "bytes", growing, rate=rate, interval=interval),),
    )


def compared(base: Sequence[RunResult], head: Sequence[RunResult]) -> Comparison:
    return compare(
        [profile(base)], [profile(head)], {"heap": MinRate(1.0), "fds": MinRate(0, True)}
    )


def kinds(comparison: Comparison) -> dict[str, str]:
    return {c.measure: c.kind for c in comparison.changes}


REPEATS = [run(), run(50 * MIB + 40 * KIB), run(50 * MIB - 40 * KIB)]


def moved(**more: float) -> list[RunResult]:
    shifts = (0, 40 * KIB, -40 * KIB)
    peak = 50 * MIB + more.pop("peak", 0)
    return [run(peak + shift, **more) for shift in shifts]  # type: ignore[arg-type]


def test_the_same_runs_are_no_regression() -> None:
    found = compared(REPEATS, moved())
    assert found.status == 0
    assert set(kinds(found).values()) == {"unchanged"}


@pytest.mark.parametrize(
    ("more", "measure"),
    [
        ({"peak": 1 * MIB}, "peak"),
        ({"peak": 0.05 * 50 * MIB}, "peak"),
        ({"footprint": 31 * MIB}, "footprint"),
        ({"blocks": 95_000}, "allocations"),
        ({"rate": 800.0}, "growth of heap"),
    ],
)
def test_a_planted_change_is_a_regression_one_way_and_an_improvement_the_other(
    more: dict[str, float], measure: str
) -> None:
    worse, better = compared(REPEATS, moved(**more)), compared(moved(**more), REPEATS)
    assert [c.measure for c in worse.of_kind("regression")] == [measure]
    assert [c.measure for c in better.of_kind("improvement")] == [measure]
    assert (worse.status, better.status) == (1, 0)


def test_what_is_significant_but_small_does_not_count() -> None:
    exact = [run(noise=0)] * 9
    assert compared(exact, [run(50 * MIB + 200 * KIB, noise=0)] * 9).status == 0


def test_what_is_large_but_within_the_repeats_does_not_count() -> None:
    wild = [run(50 * MIB + shift) for shift in (-4 * MIB, 0, 4 * MIB)]
    found = compared(wild, [run(52 * MIB + shift) for shift in (-4 * MIB, 0, 4 * MIB)])
    assert found.status == 0
    (peak,) = (c for c in found.changes if c.measure == "peak")
    assert peak.min_detectable is not None
    assert peak.min_detectable > 4 * MIB


def test_repeats_that_agree_to_the_byte_still_have_a_tolerance() -> None:
    exact = [run(300 * MIB, noise=0)] * 3
    (peak, *_) = (c for c in compared(exact, exact).changes if c.measure == "peak")
    assert peak.min_detectable is not None
    assert 256 * KIB <= peak.min_detectable <= MIB


def test_a_single_run_is_judged_by_the_noise_of_its_own_series() -> None:
    quiet = compared([run(noise=0)], [run(51 * MIB, noise=0)])
    noisy = compared([run(noise=MIB)], [run(51 * MIB, noise=MIB)])
    assert kinds(quiet)["peak"] == "regression"
    assert kinds(noisy)["peak"] == "unchanged"


def test_a_slope_near_zero_is_never_a_ratio() -> None:
    base, head = profile([run(rate=1e-6)]), profile([run(rate=1e-3)])
    assert compare([base], [head], {"heap": MinRate(1.0)}).status == 0


def test_a_leak_that_was_there_before_is_a_regression_only_when_it_is_faster() -> None:
    assert compared([run(rate=800.0)], [run(rate=805.0)]).status == 0
    assert compared([run(rate=800.0)], [run(rate=1600.0)]).status == 1


def test_levels_of_what_grows_do_not_depend_on_how_long_it_ran() -> None:
    def leaky(last: int) -> RunResult:
        samples = tuple((i, 50.0 * MIB + 10 * KIB * i) for i in range(last))
        heap = Finding("heap", "bytes", Outcome.GROWING, rate=800.0)
        return RunResult(
            "job:work", HERE, Outcome.GROWING, last, 1.0,
            (Series("peak", "bytes", samples, 2),), (heap,),
        )  # fmt: skip

    assert kinds(compared([leaky(50)], [leaky(5000)]))["peak"] == "unchanged"


def test_growth_in_a_minority_of_repeats_is_not_known() -> None:
    found = compared(REPEATS, [run(), run(), run(rate=800.0)])
    assert kinds(found)["growth of heap"] == "unknown"
    assert found.status == 2


def test_an_inconclusive_run_cannot_pass_but_what_is_worse_still_fails() -> None:
    unclear = run(outcome=Outcome.INCONCLUSIVE)
    assert compared([run()], [unclear]).status == 2
    assert compared([run()], [run(90 * MIB, outcome=Outcome.INCONCLUSIVE)]).status == 1


def test_a_measure_that_head_cannot_read_is_unknown_and_not_unchanged() -> None:
    whole, blind = profile([run()]), profile([run()])
    levels = {name: level for name, level in blind.levels.items() if name != "peak"}
    found = compare([whole], [type(blind)(**{**vars(blind), "levels": levels})])
    assert kinds(found)["peak"] == "unknown"
    assert found.status == 2


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"python": "3.12.1"}, "different Pythons (3.11.7 and 3.12.1)"),
        ({"machine": "aarch64"}, "different machines"),
        ({"allocator": "jemalloc"}, "different allocators"),
        ({"allocator_settings": {"MALLOC_ARENA_MAX": "1"}}, "MALLOC_ARENA_MAX=1"),
    ],
)
def test_another_environment_is_refused(other: dict[str, Any], said: str) -> None:
    elsewhere = run(environment={**HERE, **other})
    found = compared([run()], [elsewhere])
    assert found.status == 2
    assert said in found.problems[0]
    with pytest.raises(ConfigurationError, match="cannot be joined"):
        profile([run(), elsewhere])


def test_a_missing_workload_is_a_problem_and_a_new_one_is_not() -> None:
    one, two = profile([run()]), profile([run(subject="job:other")])
    assert compare([one, two], [one]).status == 2
    assert "job:other is missing" in compare([one, two], [one]).problems[0]
    assert compare([one], [one, two]).status == 0


def test_a_process_is_the_same_workload_under_another_number(tmp_path: Path) -> None:
    def run_of(pid: int) -> RunResult:
        spec = PidSpec(pid, "a:b")
        return replace(run(subject=str(spec)), workload=spec.workload_name())

    base = write(tmp_path / "b", run_of(7), run_of(8))
    head = write(tmp_path / "h", run_of(9), run(subject="job:work"))
    assert [(one.subject, one.runs) for one in profiles(base)] == [("pid under a:b", 2)]
    assert compare(profiles(base), profiles(head)).status == 0


def test_a_process_is_matched_in_files_from_before_the_workload_was_in_them(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path, run(subject="pid 7 under a:b"), run(subject="pid 8 under a:b"))
    for path in folder.glob("*.json"):
        data = json.loads(path.read_text())
        del data["workload"]
        path.write_text(json.dumps(data))
    assert [(one.subject, one.runs) for one in profiles(folder)] == [("pid under a:b", 2)]


def write(folder: Path, *runs: RunResult) -> Path:
    for number, one in enumerate(runs):
        one.write(folder / f"{number}.json")
    return folder


def test_the_command_ends_with_0_1_or_2_and_names_what_is_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write(tmp_path / "base", *REPEATS)
    same, worse = write(tmp_path / "same", *moved()), write(tmp_path / "worse", *moved(peak=MIB))
    assert main(["compare", str(base), str(same)]) == 0
    assert capsys.readouterr().out.startswith("NO REGRESSION")
    assert main(["compare", str(base), str(worse)]) == 1
    assert "REGRESSION: job:work: peak +1 MiB (+2.0%)" in capsys.readouterr().out
    other = write(tmp_path / "other", run(environment={**HERE, "machine": "arm64"}))
    assert main(["compare", str(base), str(other)]) == 2
    assert "COULD NOT COMPARE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no run file"), ("{", "neither a run file"), ('{"a": 1}', "no run file")],
)
def test_what_cannot_be_read_is_status_2(
    tmp_path: Path, content: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "head").mkdir()
    if content is not None:
        (tmp_path / "head" / "run.json").write_text(content)
    base = write(tmp_path / "base", run())
    assert main(["compare", str(base), str(tmp_path / "head")]) == 2
    assert said in capsys.readouterr().err


def test_every_form_tells_the_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, head = write(tmp_path / "b", *REPEATS), write(tmp_path / "h", *moved(peak=MIB))
    arguments = ["compare", str(base), str(head), "--format"]
    assert main([*arguments, "markdown"]) == 1
    assert "| regression | peak | 50 MiB | 51 MiB | +1 MiB (+2.0%) |" in capsys.readouterr().out
    assert main([*arguments, "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["status"] == 1
    assert [c["measure"] for c in data["changes"] if c["kind"] == "regression"] == ["peak"]
