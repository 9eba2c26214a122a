"""What is said of leaks in other processes than the first: pools, workers, children."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from leak_suite.checks.check import check
from leak_suite.options import Options
from leak_suite.result import Outcome
from leak_suite.subject import CallableSpec, CommandSpec, Coverage
from leak_suite.subject.command_lines import short_name

LEAKY = """
import multiprocessing, os, subprocess, sys

KEPT, STATE = [], {}

def keep(_):
    KEPT.append(bytes(bytearray(20_000)))

def pooled(method):
    if "pool" not in STATE:
        STATE["pool"] = multiprocessing.get_context(method).Pool(2)
    STATE["pool"].map(keep, range(4), 1)

def fork(): pooled("fork")
def spawn(): pooled("spawn")
def forkserver(): pooled("forkserver")

def replaced():
    STATE["calls"] = STATE.get("calls", 0) + 1
    if STATE["calls"] % 60 == 0:
        STATE.pop("pool").terminate()
    pooled("fork")

def passing():
    pid = os.fork()
    if pid == 0:
        keep(0)
        os._exit(0)
    os.waitpid(pid, 0)

CHILD = '''
import sys
sys.path.insert(0, "{folder}")
import children
for _ in sys.stdin:
    if children.STATE is not None and {leaks}:
        children.keep(0)
    print(flush=True)
'''

def talk(flags, leaks, environment=None):
    if "child" not in STATE:
        source = CHILD.format(folder=os.path.dirname(__file__), leaks=leaks)
        STATE["child"] = subprocess.Popen(
            [sys.executable, *flags, "-c", source], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
    STATE["child"].stdin.write("go\\n")
    STATE["child"].stdin.flush()
    STATE["child"].stdout.readline()

def program(): talk([], True)
def isolated(): talk(["-I"], False)
def cleaned(): talk([], False, {"PATH": os.environ["PATH"]})

def grandchild():
    if "end" not in STATE:
        read, STATE["end"] = os.pipe()
        STATE["done"], done = os.pipe()
        if os.fork() == 0:
            if os.fork() == 0:
                while os.read(read, 1):
                    keep(0)
                    os.write(done, b"x")
            os.wait()
            os._exit(0)
    os.write(STATE["end"], b"x")
    os.read(STATE["done"], 1)

def clean():
    if "pool" not in STATE:
        STATE["pool"] = multiprocessing.get_context("fork").Pool(2)
    STATE["pool"].map(abs, range(4), 1)
"""


@pytest.fixture
def children(tmp_path: Path) -> Path:
    path = tmp_path / "children.py"
    path.write_text(LEAKY)
    return path


QUICK = Options(max_seconds=30, attribution=False)


@pytest.mark.parametrize(
    ("job", "rate"),
    [
        ("fork", 80_000),
        ("spawn", 80_000),
        ("forkserver", 80_000),
        ("program", 20_000),
        ("grandchild", 20_000),
    ],
)
def test_a_leak_in_another_process_is_growing_at_its_rate(
    children: Path, job: str, rate: float
) -> None:
    result = check(CallableSpec(f"{children}:{job}"), QUICK)
    assert result.outcome is Outcome.GROWING
    heap = result.finding("heap")
    assert heap.rate == pytest.approx(rate, rel=0.1)
    assert heap.process


def test_a_pool_that_is_replaced_again_and_again_does_not_hide_its_leak(children: Path) -> None:
    result = check(CallableSpec(f"{children}:replaced"), QUICK)
    assert result.outcome is Outcome.GROWING
    assert result.finding("heap").rate == pytest.approx(80_000, rel=0.2)


@pytest.mark.parametrize("job", ["clean", "passing"])
def test_children_that_keep_nothing_for_good_are_stable(children: Path, job: str) -> None:
    result = check(CallableSpec(f"{children}:{job}"), QUICK)
    assert result.outcome is Outcome.STABLE, result.reason


@pytest.mark.parametrize("job", ["isolated", "cleaned"])
def test_nothing_is_stable_beside_a_python_process_without_the_agent(
    children: Path, job: str
) -> None:
    result = check(CallableSpec(f"{children}:{job}"), QUICK)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "the agent is in 1 of 2 Python processes" in result.finding("heap").reason


def test_a_command_that_is_not_python_has_no_agent_and_is_seen_from_outside() -> None:
    with CommandSpec(("sleep", "60")).open() as subject:
        subject.round(1, seconds=0.2)
        assert subject.coverage() == Coverage(0, 0)
        assert "heap" in subject.about.not_observed


def test_a_worker_that_is_killed_in_a_round_ends_nothing_but_its_own_readings(
    children: Path,
) -> None:
    with CallableSpec(f"{children}:program").open() as subject:
        done = subject.round(5, seconds=5)
        (life,) = done.processes
        os.kill(life.pid, signal.SIGKILL)
        assert life not in subject.round(0, seconds=0).processes


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/python3.11 /venv/bin/celery -A tasks worker -c 2", "celery"),
        ("python -W error -X dev -B /app/serve.py -m", "serve.py"),
        ("python -Im shop.worker --port 80", "shop.worker"),
        ("python -m shop.worker", "shop.worker"),
        ("python -Bc import_this", "python -c"),
        ("/usr/sbin/nginx -c nginx.conf", "nginx"),
        ("python", "a process"),
    ],
)
def test_a_process_is_called_by_what_it_runs(command: str, name: str) -> None:
    assert short_name(command) == name
