"""Whom the sampler names as killed, over a made-up group whose processes die at chosen moments."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from leak_suite.fit.cgroup import CgroupStats
from leak_suite.fit.sampler import UsageSampler


class GroupOf:
    """A group of one process; `between` happens after its counters or its members were read."""

    def __init__(self, pid: int) -> None:
        self.members: tuple[int, ...] = (pid,)
        self.counters = CgroupStats(anon=0, file=0, kernel=0, oom_kills=0)
        self.between: Callable[[], None] = lambda: None

    def stats(self) -> CgroupStats:
        read = self.counters
        self.between()
        return read

    def pids(self) -> tuple[int, ...]:
        read = self.members
        self.between()
        return read

    def kill(self) -> None:
        self.members = ()
        self.counters = replace(self.counters, oom_kills=1)

    def end(self) -> None:
        self.members = ()


class Server:
    """A server of which no process is left."""

    pid = -1

    @property
    def tree(self) -> Server:
        return self

    def processes(self) -> tuple[()]:
        return ()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", "the child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process


@pytest.fixture
def group(child: subprocess.Popen[bytes]) -> GroupOf:
    return GroupOf(child.pid)


@pytest.fixture
def sampler(group: GroupOf, monkeypatch: pytest.MonkeyPatch) -> UsageSampler:
    monkeypatch.setattr("leak_suite.fit.sampler.threading.Thread.start", lambda self: None)
    sampler = UsageSampler(group, Server(), lambda: 0)  # type: ignore[arg-type]
    sampler.sample()
    return sampler


def test_a_process_that_is_killed_while_a_sample_is_taken_is_named(
    group: GroupOf, sampler: UsageSampler, child: subprocess.Popen[bytes]
) -> None:
    group.between = group.kill
    sampler.sample()
    group.between = lambda: None
    sampler.sample()
    [killed] = sampler.killed
    assert killed.pid == child.pid
    assert killed.command.endswith("the child")


def test_a_process_that_only_ended_is_not_named_for_a_later_kill(
    group: GroupOf, sampler: UsageSampler
) -> None:
    group.end()
    sampler.sample()
    group.kill()
    sampler.sample()
    assert sampler.killed == []
