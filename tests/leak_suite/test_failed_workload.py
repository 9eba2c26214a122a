"""What a workload that fails says: its own line, and what to do where a network is missing."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest

from leak_suite.subject.agent_code import agent_module


def described(call: Callable[[], object]) -> str:
    describe: Callable[[BaseException], str] = agent_module("loop").describe_error
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it raises is described
        call()
    return describe(caught.value)


def test_the_line_is_the_workloads_own_and_not_one_of_a_library() -> None:
    text = described(lambda: json.loads("{"))
    line = described.__code__.co_firstlineno
    assert text.startswith("JSONDecodeError: Expecting property name")
    assert f"({Path(__file__)}:" in text
    assert int(text.rpartition(":")[2].rstrip(")")) > line


def resolved() -> None:
    import socket

    raise socket.gaierror(-2, "Name or service not known")


def wrapped() -> None:
    try:
        resolved()
    except OSError as error:
        raise RuntimeError("the shop is closed") from error


def given_as_a_reason() -> None:
    raise URLError(OSError(errno.ENETUNREACH, "Network is unreachable"))


@pytest.mark.parametrize("call", [resolved, wrapped, given_as_a_reason])
def test_a_network_that_is_not_there_is_told_with_what_to_do(call: Callable[[], None]) -> None:
    assert described(call).endswith(
        "; it wants a network that is not there: give the workload a stand-in on this machine"
    )


def test_a_refused_connection_is_no_lack_of_a_network() -> None:
    def refused() -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    assert "network" not in described(refused)


def test_an_error_that_is_its_own_cause_is_described() -> None:
    def circle() -> None:
        error = RuntimeError("round")
        error.__cause__ = error
        raise error

    assert described(circle).startswith("RuntimeError: round")
