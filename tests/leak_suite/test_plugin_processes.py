"""What the plugin says of tests that use other processes: pools, children, programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leak_suite.agent.proc import Proc
from leak_suite.pytest_plugin.children import ChildAgents
from tests.leak_suite.inner_session import run

POOLS = """
import multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
import pytest

KEPT, STATE = [], {}

def keep(_):
    KEPT.append(bytes(bytearray(20_000)))

def drop(_):
    STATE["last"] = bytes(bytearray(20_000))

@pytest.fixture(scope="module")
def pool(request):
    with multiprocessing.get_context(METHOD).Pool(2) as pool:
        yield pool

@pytest.mark.leak_check
def test_pool_leaks(pool):
    pool.map(keep, range(4), 1)

@pytest.mark.leak_check
def test_pool_is_clean(pool):
    pool.map(drop, range(4), 1)

def executor():
    if "executor" not in STATE:
        context = multiprocessing.get_context(METHOD)
        STATE["executor"] = ProcessPoolExecutor(2, mp_context=context)
    return STATE["executor"]

@pytest.mark.leak_check
def test_executor_leaks():
    list(executor().map(keep, range(4)))

@pytest.mark.leak_check
def test_executor_is_clean():
    list(executor().map(drop, range(4)))
"""

PASSING = """
import multiprocessing, os, subprocess, sys
import pytest

STATE = {}

@pytest.mark.leak_check
def test_a_child_for_each_call():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.wait()[0] == pid  # there is no other child to wait for
    with pytest.raises(ChildProcessError):
        os.wait()

@pytest.mark.leak_check
def test_a_pool_that_is_replaced():
    STATE["calls"] = STATE.get("calls", 0) + 1
    if STATE["calls"] % 60 == 1:
        if "pool" in STATE:
            STATE.pop("pool").terminate()
        STATE["pool"] = multiprocessing.get_context("fork").Pool(2)
    STATE["pool"].map(abs, range(4), 1)
"""

CHILD = """
import subprocess, sys
import pytest

STATE = {}
SOURCE = '''
import sys
kept = []
for _ in sys.stdin:
    kept.append(bytearray(20_000))
    print(flush=True)
'''

@pytest.mark.leak_check
def test_a_program():
    if "child" not in STATE:
        STATE["child"] = subprocess.Popen(
            [sys.executable, *FLAGS, "-c", SOURCE], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
    child = STATE["child"]
    child.stdin.write("go\\n")
    child.stdin.flush()
    child.stdout.readline()

def test_afterwards():
    STATE["child"].communicate("")
"""

WITHOUT = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:benchmark")


def real(pytester: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    """A session with the real check, in which a fork beside a thread of ours is an error."""
    pytester.makepyfile(test_it=text)
    return pytester.runpytest_subprocess(*WITHOUT, "-W", "error", *arguments)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_leak_in_a_pools_workers_grows_at_its_line_and_its_clean_twin_is_stable(
    pytester: pytest.Pytester, method: str
) -> None:
    result = real(pytester, POOLS.replace("METHOD", repr(method)), "-v", "--leak-max-seconds=40")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*test_pool_is_clean PASSED*", "*test_executor_is_clean PASSED*"])
    line = POOLS.splitlines().index("    KEPT.append(bytes(bytearray(20_000)))")
    found = [each for each in result.outlines if each.startswith("growing  test_it.py")]
    assert found
    assert all(f"test_it.py:{line} keep: heap grows by" in each for each in found)
    assert "held by test_it.KEPT" in result.stdout.str()


@pytest.mark.slow
def test_processes_that_come_and_go_are_stable(pytester: pytest.Pytester) -> None:
    result = real(pytester, PASSING, "--leak-max-seconds=40", "--leak-no-attribution")
    result.assert_outcomes(passed=2)


@pytest.mark.slow
def test_a_program_that_a_test_starts_is_seen(pytester: pytest.Pytester) -> None:
    result = real(pytester, CHILD.replace("FLAGS", "()"), "--leak-no-attribution")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["GROWING: heap grows by 19.* per iteration in python -c"])


@pytest.mark.slow
def test_nothing_is_stable_beside_a_python_process_without_the_agent(
    pytester: pytest.Pytester,
) -> None:
    source = CHILD.replace("FLAGS", "('-I',)").replace("kept.append(bytearray(20_000))", "pass")
    result = real(pytester, source, "--leak-max-seconds=15")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["could not judge: INCONCLUSIVE:*"])
    assert "agent is in 1 of 2 Python processes" in " ".join(result.outlines)


@pytest.mark.slow
def test_a_test_that_ends_itself_while_it_is_repeated_ends_as_ever(
    pytester: pytest.Pytester,
) -> None:
    """And the check after it still has its judge, and the pool its agents."""
    text = """
    import multiprocessing
    import pytest

    CALLS = []

    @pytest.fixture(scope="module")
    def pool():
        with multiprocessing.get_context("fork").Pool(1) as pool:
            yield pool

    @pytest.mark.leak_check
    def test_skips(pool):
        CALLS.append(pool.apply(abs, (1,)))
        if len(CALLS) == 300:
            pytest.skip("enough")

    @pytest.mark.leak_check
    def test_fails(pool):
        CALLS.append(pool.apply(abs, (1,)))
        assert len(CALLS) < 600, "too many"

    @pytest.mark.leak_check
    def test_is_clean(pool):
        pool.apply(abs, (1,))
    """
    result = real(pytester, text, "--leak-max-seconds=30", "--leak-no-attribution")
    result.assert_outcomes(skipped=1, failed=1, passed=1)
    result.stdout.fnmatch_lines(["*INCONCLUSIVE: the workload failed at iteration *too many*"])


def test_the_environment_is_the_users_own_but_while_leak_checks_run(
    pytester: pytest.Pytester,
) -> None:
    text = """
    import os

    def test_it({fixture}):
        assert ("LEAK_SUITE_AGENT" in os.environ) is {expected}
        {use}
    """
    without = text.format(fixture="", expected=False, use="")
    run(pytester, without).assert_outcomes(passed=1)
    with_check = text.format(fixture="leak_check", expected=True, use="leak_check(len, [])")
    assert "LEAK_SUITE_AGENT" not in os.environ
    before = Proc().fds()
    run(pytester, with_check.replace("len", "abs").replace("[]", "1")).assert_outcomes(passed=1)
    assert "LEAK_SUITE_AGENT" not in os.environ
    assert Proc().fds() == before


def test_a_child_that_was_there_for_a_moment_is_noticed() -> None:
    with ChildAgents() as children:
        assert not children.are_used()
        subprocess.run([sys.executable, "-c", ""], check=True)
        assert children.are_used()


@pytest.mark.slow
def test_the_session_goes_on_where_the_judge_has_died(pytester: pytest.Pytester) -> None:
    text = """
    import multiprocessing, os, signal
    from pathlib import Path
    import pytest

    def judges():
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                judge = b"leak_suite.checks.lent" in (folder / "cmdline").read_bytes()
                ours = os.environ["LEAK_SUITE_AGENT"].encode() in (folder / "environ").read_bytes()
            except OSError:
                continue
            if judge and ours:
                yield int(folder.name)

    @pytest.fixture
    def pool():
        with multiprocessing.get_context("fork").Pool(1) as pool:
            yield pool

    @pytest.mark.leak_check
    def test_it(pool):
        pool.apply(abs, (1,))
        for judge in judges():
            os.kill(judge, signal.SIGKILL)

    @pytest.mark.leak_check
    def test_afterwards(pool):
        pool.apply(abs, (1,))
    """
    result = real(pytester, text, "--leak-max-seconds=20", "--leak-no-attribution")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the process that judges has ended*"])


def test_a_session_that_another_gate_measures_leaves_that_one_its_agent() -> None:
    root = Path(__file__).resolve().parents[2]
    code = (
        "import os\n"
        "from leak_suite.pytest_plugin.children import ChildAgents\n"
        "with ChildAgents():\n"
        "    outer = os.environ['LEAK_SUITE_AGENT']\n"
        "    with ChildAgents():\n"
        "        assert os.environ['LEAK_SUITE_AGENT'] == outer\n"
        "assert 'LEAK_SUITE_AGENT' not in os.environ\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
