"""The pytest plugin: what it repeats, with which options, and what it tells.

The verdicts here are made up by a conftest; the last tests use the real check.
"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from pathlib import Path

import pytest

import leak_suite.pytest_plugin.checking  # noqa: F401 - once, and not anew in every inner session
from leak_suite.options import Options
from leak_suite.pytest_plugin import OPTIONS

FAKE_CHECK = '''
"""Repeats three times; the outcome stands in the test's name."""
import json
import runpy
from pathlib import Path

from leak_suite.result import Finding, Outcome, RunResult, Series, Site

SEEN = Path(__file__).with_name("seen.jsonl")


def pytest_leak_check(spec, options):
    if hasattr(spec, "function"):
        name, call = spec.name, spec.function
    else:
        path, _, function = spec.target.rpartition(":")
        name, call = "isolated", runpy.run_path(path)[function]
    for _ in range(3):
        call()
    with SEEN.open("a") as file:
        file.write(json.dumps({"name": name, **vars(options)}, default=str) + "\\n")
    found = [o for o in Outcome if o.value.replace(" ", "_") in name] or [Outcome.STABLE]
    sites = (Site("shop/jobs.py", 12, "run", 64.0, ("shop/base.py:3 call",)),)
    finding = Finding("heap", "bytes", found[0], "leak", 64.0, reason="so it was", sites=sites)
    series = (Series("heap", "bytes", ((0, 1.0),)),)
    return RunResult(name, {}, found[0], 3, 0.1, series, (finding,))
'''

WITHOUT = [f"-pno:{plugin}" for plugin in ("cacheprovider", "locust", "benchmark")]


@pytest.fixture
def tests(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(FAKE_CHECK)
    return pytester


def seen(tests: pytest.Pytester) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tests.path / "seen.jsonl").read_text().splitlines()]


def run(tests: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    tests.makepyfile(test_it=text)
    return tests.runpytest(*WITHOUT, *arguments)


def test_a_marked_test_is_repeated_and_passes_when_stable(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
        import pytest
        calls = []

        @pytest.mark.leak_check
        def test_it(tmp_path):
            calls.append(tmp_path)

        def test_afterwards():
            assert len(calls) == 4 and len(set(calls)) == 1
        """,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*leak checks*", "stable*::test_it*none of 1 metrics grows"])


def test_a_growing_test_fails_with_the_finding_then_the_site_and_no_traceback(
    tests: pytest.Pytester,
) -> None:
    text = "import pytest\n@pytest.mark.leak_check\ndef test_growing(): pass"
    result = run(tests, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*__ test_growing __*",
            "GROWING: heap grows by 64 B per iteration",
            "  shop/jobs.py:12 run  64 B per iteration",
            "    shop/base.py:3 call",
            "so it was",
            "*leak checks*",
            "growing *::test_growing *",
            "FAILED *::test_growing - leak_suite.errors.LeakError: *",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin*")


def test_a_check_that_could_not_judge_fails(tests: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.leak_check\ndef test_inconclusive(): pass"
    result = run(tests, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["could not judge: INCONCLUSIVE*"])


def test_it_can_be_told_to_warn_instead(tests: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.leak_check\ndef test_inconclusive(): pass"
    result = run(tests, text, "--leak-inconclusive=warn", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*could not judge*", "inconclusive *::test_inconclusive*"])


def test_over_budget_fails(tests: pytest.Pytester) -> None:
    result = run(tests, "import pytest\n@pytest.mark.leak_check\ndef test_over_budget(): pass")
    result.assert_outcomes(failed=1)


def test_the_fixture_checks_a_callable_and_returns_the_result(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
        import pytest
        from leak_suite.errors import LeakError

        def test_it(leak_check):
            calls = []
            assert leak_check(calls.append, 1).outcome.value == "stable"
            assert calls == [1, 1, 1, 1]

        def test_growing(leak_check):
            with pytest.raises(LeakError, match="heap grows by 64 B"):
                leak_check(len, [])
        """,
    )
    result.assert_outcomes(passed=2)


def test_parameters_and_fixtures_are_handed_in(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
        import pytest

        @pytest.fixture
        def basket():
            return []

        @pytest.mark.leak_check
        @pytest.mark.parametrize("size", [1, 2])
        def test_it(size, basket):
            basket.append(size)
            assert set(basket) == {size}

        class TestClass:
            @pytest.mark.leak_check
            def test_method(self, basket):
                basket.append(self)
                assert set(basket) == {self}
        """,
    )
    result.assert_outcomes(passed=3)


def test_an_async_test_runs_in_one_loop(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
        import asyncio, pytest
        loops = []

        @pytest.mark.leak_check
        async def test_it():
            await asyncio.sleep(0)
            loops.append(asyncio.get_running_loop())

        def test_fixture(leak_check):
            async def work():
                await asyncio.sleep(0)
            leak_check(work)

        def test_afterwards():
            assert len(loops) == 4 and len(set(loops)) == 1
            assert loops[0].is_closed()
        """,
        "-W",
        "error",
    )
    result.assert_outcomes(passed=3)


def test_an_async_test_of_anyio_runs_beside_its_fixtures(tests: pytest.Pytester) -> None:
    pytest.importorskip("anyio")
    result = run(
        tests,
        """
        import asyncio, pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.fixture
        async def loop(anyio_backend):
            yield asyncio.get_running_loop()

        @pytest.mark.anyio
        @pytest.mark.leak_check
        async def test_it(loop):
            assert asyncio.get_running_loop() is loop
        """,
    )
    result.assert_outcomes(passed=1)
    assert len(seen(tests)) == 1


def test_isolate_repeats_in_a_file_of_its_own(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
        import pytest
        from pathlib import Path

        @pytest.mark.leak_check(isolate=True)
        @pytest.mark.parametrize("name", ["a", "b"])
        def test_it(name):
            with Path(name).open("a") as file:
                file.write("x")

        class TestClass:
            @pytest.mark.leak_check(isolate=True)
            def test_method(self):
                test_it("c")
        """,
    )
    result.assert_outcomes(passed=3)
    assert [check["name"] for check in seen(tests)] == ["isolated"] * 3
    assert [(tests.path / name).read_text() for name in "abc"] == ["xxx"] * 3


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ("def test_it(tmp_path): pass", "the fixture 'tmp_path' lives in pytest's process"),
        (
            "@pytest.mark.parametrize('f', [lambda: 0])\ndef test_it(f): pass",
            "the arguments cannot be handed over",
        ),
    ],
)
def test_isolate_refuses_what_cannot_leave_the_process(
    tests: pytest.Pytester, test: str, sentence: str
) -> None:
    result = run(tests, f"import pytest\n@pytest.mark.leak_check(isolate=True)\n{test}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*isolate: {sentence}*"])


def test_options_come_from_flag_then_marker_then_ini_then_pyproject(
    tests: pytest.Pytester,
) -> None:
    (tests.path / "pyproject.toml").write_text(
        "[tool.leak_suite]\nmax_seconds = 9\nmax_threads = 9\n"
        "inconclusive = 'warn'\nbudgets = {peak = 9}\n"
        "[tool.leak_suite.workloads.test_it]\nmax_growth_bytes = '9 MiB'\n"
        "[tool.pytest.ini_options]\nleak_max_seconds = 8\nleak_max_threads = 8\n"
        "leak_inconclusive = 'fail'\n"
        "leak_budgets = ['heap=8']\nleak_tracked = ['shop:Cart']\n"
    )
    text = """
        import pytest

        @pytest.mark.leak_check(max_seconds="7s", max_threads=7, budgets={"rss": "7"})
        def test_it():
            pass
        """
    run(tests, text, "--leak-max-seconds=6", "--leak-budgets=fds=6").assert_outcomes(passed=1)
    (options,) = seen(tests)
    assert options["max_seconds"] == 6
    assert options["max_threads"] == 7
    assert options["inconclusive"] == "fail"
    assert options["max_growth_bytes"] == 9 * 1024**2
    assert options["budgets"] == {"peak": 9, "heap": 8, "rss": 7, "fds": 6}
    assert options["tracked"] == ["shop:Cart"]


def test_a_marker_of_a_class_gives_way_to_that_of_its_test(tests: pytest.Pytester) -> None:
    text = """
        import pytest

        @pytest.mark.leak_check(max_seconds=1, max_threads=1)
        class TestClass:
            @pytest.mark.leak_check(max_threads=2)
            def test_it(self): pass
        """
    run(tests, text).assert_outcomes(passed=1)
    (options,) = seen(tests)
    assert (options["max_seconds"], options["max_threads"]) == (1, 2)


def test_every_option_of_the_plugin_is_one_of_the_resolver() -> None:
    assert set(OPTIONS) <= {item.name for item in fields(Options)}


@pytest.mark.parametrize(
    ("marker", "sentence"),
    [
        ("max_secs=1", "unknown option 'max_secs'; did you mean 'max_seconds'"),
        ("'1 MiB'", "takes named options only"),
    ],
)
def test_a_wrong_option_fails_the_test(tests: pytest.Pytester, marker: str, sentence: str) -> None:
    text = f"import pytest\n@pytest.mark.leak_check({marker})\ndef test_it(): pass"
    result = run(tests, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{sentence}*"])


def test_a_test_that_fails_or_skips_does_so_as_ever(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
        import pytest

        @pytest.mark.leak_check
        def test_skip():
            pytest.skip("not here")

        @pytest.mark.leak_check
        def test_fail():
            assert [1, 2] == [1, 3]
        """,
    )
    result.assert_outcomes(skipped=1, failed=1)
    result.stdout.fnmatch_lines(["*At index 1 diff: 2 != 3*"])


@pytest.mark.parametrize(
    "text",
    [
        "class TestCase(unittest.TestCase):\n  @pytest.mark.leak_check\n  def test_it(self): pass",
        "def test_it(leak_check): pass",
    ],
    ids=["unittest", "fixture"],
)
def test_what_was_not_repeated_is_never_green(tests: pytest.Pytester, text: str) -> None:
    result = run(tests, f"import pytest, unittest\n{text}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*could not judge: nothing was repeated*", "inconclusive *"])


def test_what_pytest_records_of_a_test_does_not_grow(tests: pytest.Pytester) -> None:
    result = run(
        tests,
        """
        import logging, pytest, warnings

        @pytest.mark.leak_check
        def test_it(caplog):
            logging.warning("once")
            assert caplog.messages == ["once"]
            warnings.warn("one warning")
            print("printed")
        """,
        "-rP",
        "-W",
        "default",
    )
    result.assert_outcomes(passed=1, warnings=2)  # the first call's, and one for all the others
    assert result.stdout.str().count("printed") == result.stdout.str().count('print("printed")') + 1


def test_junit_gets_the_findings(tests: pytest.Pytester) -> None:
    run(
        tests,
        "import pytest\n@pytest.mark.leak_check\ndef test_growing(): pass",
        "--junitxml=out.xml",
    )
    tree = ElementTree.parse(tests.path / "out.xml")
    said = {p.get("name"): p.get("value") for p in tree.iter("property")}
    assert said["leak_suite.outcome"] == "growing"
    assert said["leak_suite.metric"] == "heap: growing"
    assert said["leak_suite.rate"] == "heap: 64 B per iteration"
    assert said["leak_suite.site"] == "heap: shop/jobs.py:12 run"


def test_everything_travels_through_xdist(tests: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    text = "import pytest\n@pytest.mark.leak_check\ndef test_growing(): pass\n"
    text += "@pytest.mark.leak_check\ndef test_stable(): pass\n"
    result = run(tests, text, "-n2", "--junitxml=out.xml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["GROWING: heap grows*", "*leak checks*", "stable *::test_stable *", "growing *"]
    )
    assert "leak_suite.site" in (tests.path / "out.xml").read_text()


def test_run_files_are_written_where_asked(tests: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.leak_check\n@pytest.mark.parametrize('n', ['a/b'])\n"
    run(tests, text + "def test_it(n): pass", "--leak-output=out").assert_outcomes(passed=1)
    (file,) = (tests.path / "out").iterdir()
    assert json.loads(file.read_text())["outcome"] == "stable"


def test_the_door_imports_nothing_heavy() -> None:
    code = "import sys, pytest; before = set(sys.modules); import leak_suite.pytest_plugin; "
    code += "print(sorted(set(sys.modules) - before))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout == "['leak_suite', 'leak_suite.pytest_plugin']\n"


@pytest.mark.slow
def test_the_real_check_tells_a_leak_from_a_clean_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio, pytest
        kept, last = [], {}

        @pytest.mark.leak_check
        def test_leaky(): kept.append(bytearray(2000))

        @pytest.mark.leak_check
        def test_clean(): last["it"] = bytearray(2000)

        @pytest.mark.leak_check
        async def test_async_leaky():
            await asyncio.sleep(0)
            kept.append(bytearray(2000))
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--leak-no-attribution")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["GROWING: heap grows by * per iteration"])
