"""Tests of every kind under a leak check: unittest's, whole folders', and beside other plugins."""

from __future__ import annotations

import pytest

from tests.leak_suite.inner_session import run, seen


def test_a_method_of_unittest_is_repeated_between_its_own_set_up_and_tear_down(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import unittest
        import pytest
        calls = []

        class TestOrders(unittest.TestCase):
            def setUp(self):
                calls.append("up")

            def tearDown(self):
                calls.append("down")

            @pytest.mark.leak_check
            def test_orders(self):
                calls.append("test")

        def test_afterwards():
            assert calls == ["up", *4 * ["test"], "down"]
        """,
    )
    result.assert_outcomes(passed=2)
    assert len(seen(pytester)) == 1


def test_an_async_method_of_unittest_stays_in_the_loop_of_its_set_up(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import asyncio
        import unittest
        import pytest
        loops = []

        @pytest.mark.leak_check
        class TestFeed(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                loops.append(asyncio.get_running_loop())

            async def test_feed(self):
                await asyncio.sleep(0)
                loops.append(asyncio.get_running_loop())

        @pytest.mark.no_leak_check
        def test_afterwards():
            assert len(loops) == 5 and len(set(loops)) == 1
        """,
    )
    result.assert_outcomes(passed=2)


def test_a_method_of_unittest_that_grows_fails_with_the_finding_only(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import unittest
        import pytest

        @pytest.mark.leak_check
        class TestOrders(unittest.TestCase):
            def test_growing(self):
                pass

            def test_wrong(self):
                self.assertEqual(1, 2)

            @unittest.skip("not today")
            def test_skipped(self):
                raise RuntimeError

            @unittest.expectedFailure
            def test_expected(self):
                self.fail()
        """,
        "-rA",
    )
    result.assert_outcomes(failed=2, skipped=1, xfailed=1)
    text = result.stdout.str()
    assert "heap grows by 64 B per iteration" in text
    assert "shop/jobs.py:12 run" in text
    assert "Traceback" not in text
    assert "1 != 2" in text


def test_isolation_of_unittest_is_refused_in_a_sentence(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import unittest
        import pytest

        class TestOrders(unittest.TestCase):
            @pytest.mark.leak_check(isolate=True)
            def test_orders(self):
                pass
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*isolate: a unittest.TestCase is set up in pytest's process*"])


FOLDERS = {
    "leaks/test_all": """
        import pytest

        def test_plain(): pass

        @pytest.mark.parametrize("size", [1, 2])
        def test_sizes(size): pass

        class TestClass:
            async def test_method(self): pass

        @pytest.mark.no_leak_check
        def test_left_out(): pass

        @pytest.mark.leak_check(max_seconds=7)
        def test_own(): pass

        def test_fixture(leak_check): leak_check(len, [])
    """,
    "other/test_none": "def test_it(): pass",
}


def folders(pytester: pytest.Pytester, paths: str) -> None:
    for name, text in FOLDERS.items():
        path = pytester.path / f"{name}.py"
        path.parent.mkdir()
        path.write_text("\n".join(line[8:] or line.strip() for line in text.splitlines()))
    (pytester.path / "other" / "test_none.py").write_text(FOLDERS["other/test_none"])
    pytester.makeini(f"[pytest]\nleak_check_paths = {paths}\n")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "xdist"])
def test_a_whole_folder_is_checked_by_configuration(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    folders(pytester, "leaks")
    result = run(pytester, "", *workers, "leaks", "other")
    result.assert_outcomes(passed=8)
    names = sorted(str(one["name"]).rpartition("::")[2] for one in seen(pytester))
    assert names == [
        "test_fixture", "test_method", "test_own", "test_plain", "test_sizes[1]", "test_sizes[2]",
    ]  # fmt: skip


def test_those_tests_are_selected_by_the_marker(pytester: pytest.Pytester) -> None:
    folders(pytester, "leaks other/test_none.py")
    result = run(pytester, "", "-m", "leak_check", "leaks", "other")
    result.assert_outcomes(passed=6, deselected=2)


def test_a_configured_path_where_nothing_is_is_one_line(pytester: pytest.Pytester) -> None:
    folders(pytester, "nowhere")
    result = run(pytester, "", "leaks")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.stderr.lines if line]
    assert "leak_check_paths: there is nothing at" in line


TWO_KINDS = """
import pytest
kept = []

@pytest.mark.leak_check
@pytest.mark.parametrize("size", [10])
def test_clean(size):
    bytearray(size)

@pytest.mark.leak_check
class TestOrders:
    def test_leaky(self):
        kept.append(bytearray(3000))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("xdist", ["-n", "2"]),
        ("pytest_cov", ["--cov=.", "--cov-report="]),
        ("pytest_memray", ["--memray"]),
    ],
)
def test_verdicts_and_line_are_the_same_beside_other_plugins(
    pytester: pytest.Pytester, module: str, arguments: list[str]
) -> None:
    pytest.importorskip(module)
    path = pytester.makepyfile(test_it=TWO_KINDS)
    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "--leak-max-seconds=20", *arguments
    )
    result.assert_outcomes(passed=1, failed=1)
    (line,) = [one for one in result.stdout.lines if one.startswith("growing  ")]
    assert "TestOrders::test_leaky" in line
    assert f"{path.name}:12" in line
