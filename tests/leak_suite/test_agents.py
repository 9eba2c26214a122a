"""The agent reaches every Python process of a subject, and changes nothing that it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leak_suite.subject.agents import AgentHub
from tests.leak_suite.waiting import WAIT_SECONDS, agents_in, until

# Each prints the ids of its other processes, one a line, and ends when its input does.
STARTS = {
    "fork": """
        import os, sys
        pid = os.fork()
        if pid == 0:
            sys.stdin.read()
            os._exit(0)
        print(pid, flush=True)
        sys.stdin.read()
        os.wait()
        """,
    "grandchild": """
        import os, sys
        read, write = os.pipe()
        if os.fork() == 0:
            pid = os.fork()
            if pid == 0:
                sys.stdin.read()
                os._exit(0)
            os.write(write, b"%d %d" % (os.getpid(), pid))
            sys.stdin.read()
            os._exit(0)
        print(os.read(read, 100).decode().replace(" ", "\\n"), flush=True)
        sys.stdin.read()
        """,
    "subprocess": """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
        print(child.pid, flush=True)
        child.wait()
        """,
    "exec": """
        import os, sys
        pid = os.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import sys; sys.stdin.read()"])
        print(pid, flush=True)
        os.wait()
        """,
    **{
        f"pool by {method}": f"""
        import multiprocessing, os, sys

        def work(_):
            return os.getpid()

        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                pool.map(work, range(8), 1)
                for process in pool._pool:
                    print(process.pid, flush=True)
                sys.stdin.read()
        """
        for method in ("fork", "spawn", "forkserver")
    },
    "executor": """
        import os, sys
        from concurrent.futures import ProcessPoolExecutor

        def work(_):
            return os.getpid()

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                print(pool.submit(work, 0).result(), flush=True)
                sys.stdin.read()
        """,
}


@pytest.fixture
def hub() -> Iterator[AgentHub]:
    with AgentHub() as entered:
        yield entered


def started(hub: AgentHub, path: Path, source: str, python: Path) -> subprocess.Popen[str]:
    path.write_text(textwrap.dedent(source))
    return subprocess.Popen(
        [str(python), "-W", "error", str(path)],
        env=hub.environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def readable(hub: AgentHub) -> set[int]:
    """The processes whose agent answers with what it read."""
    answers = hub.ask(hub.links(), "read", WAIT_SECONDS)
    return {life.pid for life, answer in answers.items() if answer["values"]["heap"] > 0}


@pytest.mark.parametrize("start", STARTS)
def test_the_agent_reaches_a_process_however_it_is_started(
    hub: AgentHub, tmp_path: Path, start: str
) -> None:
    program = started(hub, tmp_path / "program.py", STARTS[start], Path(sys.executable))
    try:
        assert program.stdout is not None
        pids = [int(program.stdout.readline())]
        if start.startswith(("pool", "grandchild")):
            pids.append(int(program.stdout.readline()))
        # One that is between fork and exec answers for a moment, and again when it has begun anew.
        until(lambda: {*pids, program.pid} <= readable(hub))
    finally:
        _, errors = program.communicate("")
    assert (errors, program.returncode) == ("", 0)


def test_a_process_that_has_ended_is_no_longer_asked(hub: AgentHub, tmp_path: Path) -> None:
    program = started(hub, tmp_path / "p.py", "import sys; sys.stdin.read()", Path(sys.executable))
    until(lambda: program.pid in agents_in(hub))
    link = agents_in(hub)[program.pid]
    program.communicate("")
    assert hub.ask([link], "read", WAIT_SECONDS) == {}
    assert hub.links() == []


def test_a_process_that_is_stopped_holds_nobody_up_for_long(hub: AgentHub, tmp_path: Path) -> None:
    program = started(hub, tmp_path / "p.py", "import sys; sys.stdin.read()", Path(sys.executable))
    until(lambda: program.pid in agents_in(hub))
    os.kill(program.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert hub.ask(hub.links(), "read", 0.5) == {}
    assert time.monotonic() - began < 10
    os.kill(program.pid, signal.SIGCONT)
    program.communicate("")


def test_a_stranger_who_does_not_know_the_token_is_not_an_agent(hub: AgentHub) -> None:
    import socket

    address = hub.environment({})["LEAK_SUITE_AGENT"].split()[0]
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect("\0" + address)
        stranger.sendall(b"{'hello': 'guess', 'forked': False}\n")
        assert stranger.recv(1) == b""
    assert hub.links() == []
