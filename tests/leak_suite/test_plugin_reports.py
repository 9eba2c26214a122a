"""What the pytest plugin reports: on the terminal, in JUnit files, in run files."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from tests.leak_suite.inner_session import run


def test_a_growing_test_fails_with_the_finding_then_the_site_and_no_traceback(
    pytester: pytest.Pytester,
) -> None:
    text = "import pytest\n@pytest.mark.leak_check\ndef test_growing(): pass"
    result = run(pytester, text)
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


def test_a_check_that_could_not_judge_fails(pytester: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.leak_check\ndef test_inconclusive(): pass"
    result = run(pytester, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["could not judge: INCONCLUSIVE*"])


def test_it_can_warn_instead(pytester: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.leak_check\ndef test_inconclusive(): pass"
    result = run(pytester, text, "--leak-inconclusive=warn", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*could not judge*", "inconclusive *::test_inconclusive*"])


def test_over_budget_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, "import pytest\n@pytest.mark.leak_check\ndef test_over_budget(): pass")
    result.assert_outcomes(failed=1)


def test_what_was_not_repeated_is_never_green(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it(leak_check): pass")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*could not judge: nothing was repeated*", "inconclusive *"])


def test_junit_gets_the_findings(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        "import pytest\n@pytest.mark.leak_check\ndef test_growing(): pass",
        "--junitxml=out.xml",
    )
    tree = ElementTree.parse(pytester.path / "out.xml")
    said = {p.get("name"): p.get("value") for p in tree.iter("property")}
    assert said["leak_suite.outcome"] == "growing"
    assert said["leak_suite.metric"] == "heap: growing"
    assert said["leak_suite.rate"] == "heap: 64 B per iteration"
    assert said["leak_suite.site"] == "heap: shop/jobs.py:12 run"


def test_everything_travels_through_xdist(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    text = "import pytest\n@pytest.mark.leak_check\ndef test_growing(): pass\n"
    text += "@pytest.mark.leak_check\ndef test_stable(): pass\n"
    result = run(pytester, text, "-n2", "--junitxml=out.xml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["GROWING: heap grows*", "*leak checks*", "stable  1 check", "growing *::test_growing *"]
    )
    assert "leak_suite.site" in (pytester.path / "out.xml").read_text()


def test_run_files_are_written_where_asked(pytester: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.leak_check\n@pytest.mark.parametrize('n', ['a/b'])\n"
    run(pytester, text + "def test_it(n): pass", "--leak-output=out").assert_outcomes(passed=1)
    (file,) = (pytester.path / "out").iterdir()
    assert json.loads(file.read_text())["outcome"] == "stable"


def test_stable_checks_are_a_number_and_one_cause_is_one_line(pytester: pytest.Pytester) -> None:
    text = "import pytest\npytestmark = pytest.mark.leak_check\n"
    text += "".join(f"def test_stable_{n}(): pass\ndef test_growing_{n}(): pass\n" for n in "ab")
    result = run(pytester, text)
    result.assert_outcomes(passed=2, failed=2)
    summary = result.stdout.str().partition("leak checks")[2].splitlines()
    assert "stable  2 checks" in summary
    growing = [line for line in summary if line.startswith("growing")]
    assert len(growing) == 1
    assert growing[0].startswith("growing  test_it.py::test_growing_a and 1 more  ")
