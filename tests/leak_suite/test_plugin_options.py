"""Options of the pytest plugin: where they may stand, which of them wins, what is refused."""

from __future__ import annotations

from dataclasses import fields

import pytest

from leak_suite.options import Options
from leak_suite.pytest_plugin import OPTIONS
from tests.leak_suite.inner_session import run, seen


def test_options_come_from_flag_then_marker_then_ini_then_pyproject(
    pytester: pytest.Pytester,
) -> None:
    (pytester.path / "pyproject.toml").write_text(
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
    run(pytester, text, "--leak-max-seconds=6", "--leak-budgets=fds=6").assert_outcomes(passed=1)
    (options,) = seen(pytester)
    assert options["max_seconds"] == 6
    assert options["max_threads"] == 7
    assert options["inconclusive"] == "fail"
    assert options["max_growth_bytes"] == 9 * 1024**2
    assert options["budgets"] == {"peak": 9, "heap": 8, "rss": 7, "fds": 6}
    assert options["tracked"] == ["shop:Cart"]


def test_a_marker_of_a_class_gives_way_to_that_of_its_test(pytester: pytest.Pytester) -> None:
    text = """
        import pytest

        @pytest.mark.leak_check(max_seconds=1, max_threads=1)
        class TestClass:
            @pytest.mark.leak_check(max_threads=2)
            def test_it(self): pass
        """
    run(pytester, text).assert_outcomes(passed=1)
    (options,) = seen(pytester)
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
def test_a_wrong_option_fails_the_test(
    pytester: pytest.Pytester, marker: str, sentence: str
) -> None:
    text = f"import pytest\n@pytest.mark.leak_check({marker})\ndef test_it(): pass"
    result = run(pytester, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{sentence}*"])
