"""What the pytest plugin repeats, and how; the last test uses the real check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.leak_suite.inner_session import run, seen


def test_a_marked_test_is_repeated_and_passes_when_stable(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        calls = []

        @pytest.mark.leak_check
        def test_it(tmp_path):
            calls.append(tmp_path)

        def test_afterwards():
            assert len(calls) == 4 and len(set(calls)) == 1
        """,
        "-v",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*leak checks*", "stable*::test_it*none of 1 metrics grows"])


def test_the_fixture_checks_a_callable_and_returns_the_result(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from leak_suite.errors import LeakError

        def test_it(leak_check):
            calls = []
            assert leak_check(calls.append, 1).outcome.value == "stable"
            assert calls == [1, 1, 1, 1]

        def test_growing(leak_check):
            with pytest.raises(LeakError, match="heap grows by 64 B") as caught:
                leak_check(len, [])
            assert caught.value.result.finding("heap").rate == 64.0
        """,
    )
    result.assert_outcomes(passed=2)


def test_parameters_and_fixtures_are_handed_in(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
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


def test_an_async_test_runs_in_one_loop(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
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


def test_an_async_test_of_anyio_runs_beside_its_fixtures(pytester: pytest.Pytester) -> None:
    pytest.importorskip("anyio")
    result = run(
        pytester,
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
    assert len(seen(pytester)) == 1


def test_isolate_repeats_in_a_file_of_its_own(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
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
    assert [check["name"] for check in seen(pytester)] == ["isolated"] * 3
    assert [(pytester.path / name).read_text() for name in "abc"] == ["xxx"] * 3


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ("def test_it(tmp_path): pass", "the fixture 'tmp_path' exists only in pytest's process"),
        (
            "@pytest.mark.parametrize('f', [lambda: 0])\ndef test_it(f): pass",
            "the arguments cannot be pickled",
        ),
    ],
)
def test_isolate_refuses_what_cannot_leave_the_process(
    pytester: pytest.Pytester, test: str, sentence: str
) -> None:
    result = run(pytester, f"import pytest\n@pytest.mark.leak_check(isolate=True)\n{test}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*isolate: {sentence}*"])


def test_a_test_that_fails_or_skips_does_so_as_ever(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
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


def test_what_pytest_records_of_a_test_does_not_grow(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
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


def test_the_door_imports_nothing_heavy() -> None:
    code = "import sys, pytest; before = set(sys.modules); import leak_suite.pytest_plugin; "
    code += "print(sorted(set(sys.modules) - before))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    plugin = "leak_suite.pytest_plugin"
    names = ["leak_suite", plugin, f"{plugin}.options", f"{plugin}.unittest_case"]
    assert done.stdout == f"{names}\n"


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
    without = ("-p", "no:cacheprovider", "-p", "no:schemathesis")
    result = pytester.runpytest_subprocess(*without, "--leak-no-attribution")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["GROWING: heap grows by * per iteration"])
