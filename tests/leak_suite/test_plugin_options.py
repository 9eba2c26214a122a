"""Options of the pytest plugin: where they may stand, which of them wins, what is refused."""

from __future__ import annotations

from dataclasses import fields

import pytest

from leak_suite.options import Options
from leak_suite.pytest_plugin.options import OPTIONS
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
        ("max_secs=1", "unknown option 'max_secs'; did you mean 'max_seconds'?"),
        ("max_seconds='soon'", "max_seconds: 'soon' is not a duration*"),
        ("budgets={'heep': 1}", "budgets: unknown metric 'heep'; did you mean 'heap'?"),
        ("'1 MiB'", "@pytest.mark.leak_check takes named options only"),
    ],
)
def test_a_wrong_option_of_a_marker_is_one_line_before_any_test_runs(
    pytester: pytest.Pytester, marker: str, sentence: str
) -> None:
    text = f"import pytest\n@pytest.mark.leak_check({marker})\ndef test_it(): pass"
    result = run(pytester, f"{text}\ndef test_other(): raise AssertionError")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes()
    errors = [line for line in result.errlines if line.startswith("ERROR")]
    assert len(errors) == 1
    result.stderr.fnmatch_lines([f"ERROR: test_it.py::test_it: *{sentence}"])


def test_under_xdist_the_test_with_a_wrong_option_fails(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    text = "import pytest\n@pytest.mark.leak_check(max_secs=1)\ndef test_it(): pass"
    result = run(pytester, f"{text}\ndef test_other(): pass", "-n1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*unknown option 'max_secs'; did you mean 'max_seconds'?"])


def test_a_wrong_option_of_the_fixture_fails_the_test_without_a_traceback(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, "def test_it(leak_check): leak_check(len, [], max_secs=1)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*unknown option 'max_secs'; did you mean 'max_seconds'?"])
    assert "resolve" not in result.stdout.str()


def test_a_deselected_test_is_not_asked_for_its_options(pytester: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.leak_check(max_secs=1)\ndef test_wrong(): pass"
    run(pytester, f"{text}\ndef test_right(): pass", "-k", "right").assert_outcomes(
        passed=1, deselected=1
    )
