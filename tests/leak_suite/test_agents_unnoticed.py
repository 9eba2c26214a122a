"""A program does with the agent what it does without it, in every version of Python."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from leak_suite.checks.check import check
from leak_suite.subject.agents import AgentHub
from tests.leak_suite.interpreters import VERSIONS, interpreter
from tests.leak_suite.waiting import agents_in, until


@pytest.fixture
def hub() -> Iterator[AgentHub]:
    with AgentHub() as entered:
        yield entered


# What each writes, and how it ends, must be the same with and without the agent.
PROGRAMS = {
    "forks beside its own threads": """
        import os, sys, threading, time
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        stop.set()
        thread.join()
        while len(os.listdir("/proc/self/task")) > (2 if "_leak_agent" in sys.modules else 1):
            time.sleep(0.001)
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        print("done")
        """,
    "forks in a child": """
        import os
        if os.fork() == 0:
            if os.fork() == 0:
                print("grandchild", flush=True)
                os._exit(0)
            os.wait()
            os._exit(0)
        os.wait()
        """,
    "runs asyncio with a child": """
        import asyncio, sys

        async def main():
            made = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('child')")
            await made.wait()

        asyncio.run(main())
        """,
    "lists its threads": """
        import threading
        print([thread.name for thread in threading.enumerate()], threading.active_count())
        assert threading.current_thread() is threading.main_thread()
        """,
    "looks at its path": """
        import sys
        print([entry for entry in sys.path if "agent" in entry])
        """,
    "closes every descriptor and opens its own": """
        import os
        if os.fork() == 0:
            os.closerange(3, 4096)
            files = [os.open(os.devnull, os.O_RDONLY) for _ in range(300)]
            if os.fork() == 0:
                os._exit(0)
            os.wait()
            print(all(os.fstat(file).st_rdev == os.stat(os.devnull).st_rdev for file in files))
            import sys
            sys.stdout.flush()
            os._exit(0)
        os.wait()
        """,
    "ends by an exception": "raise SystemExit('sorry')",
    "ends by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "becomes another user": """
        import os
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.wait()
        print("fine")
        """,
}
VERSIONS_OF_NOTE = ("3.9", "3.11", "3.12", "3.13", "3.14")


@pytest.mark.parametrize("version", VERSIONS_OF_NOTE)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_does_the_same_with_the_agent_as_without_it(
    hub: AgentHub, tmp_path: Path, program: str, version: str
) -> None:
    python = interpreter(version)
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAMS[program]))
    alone, watched = (
        subprocess.run(
            [str(python), "-W", "error", str(path)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for environment in (dict(os.environ), hub.environment(os.environ))
    )
    assert (watched.stdout, watched.stderr, watched.returncode) == (
        alone.stdout,
        alone.stderr,
        alone.returncode,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_subjects_own_sitecustomize_still_runs(
    hub: AgentHub, tmp_path: Path, version: str
) -> None:
    own = tmp_path / "own folder, with blanks and ünïcode"
    own.mkdir()
    (own / "sitecustomize.py").write_text("MARK = 'mine'\n")
    source = "import sitecustomize, sys; print(sitecustomize.MARK, sitecustomize.__file__)"
    ran = subprocess.run(
        [str(interpreter(version)), "-c", source],
        env=hub.environment({**os.environ, "PYTHONPATH": str(own), "PYTHONUTF8": "1"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == f"mine {own}/sitecustomize.py\n"
    assert ran.stderr == ""


def test_a_sitecustomize_that_fails_fails_as_it_would_alone(hub: AgentHub, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('on purpose')\n")
    given = {**os.environ, "PYTHONPATH": str(tmp_path)}
    alone, watched = (
        subprocess.run(
            [sys.executable, "-c", "print('on')"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for environment in (given, hub.environment(given))
    )
    assert (watched.stdout, watched.returncode) == (alone.stdout, alone.returncode)
    assert watched.stderr.splitlines()[-1] == alone.stderr.splitlines()[-1]


@pytest.mark.parametrize("version", VERSIONS_OF_NOTE)
def test_a_program_that_ends_at_once_ends_well(hub: AgentHub, version: str) -> None:
    """A thread that is just being made, or that waits, must not be there when Python ends."""
    environment = hub.environment(os.environ)
    for _ in range(60):
        ended = subprocess.run([interpreter(version), "-c", ""], env=environment, check=False)
        assert ended.returncode == 0


def test_one_that_chains_to_the_next_sitecustomize_finds_the_agents(
    hub: AgentHub, tmp_path: Path
) -> None:
    """Tools put a folder of their own at the head of the path, as tracers do."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "here = os.path.dirname(os.path.abspath(__file__))\n"
        "sys.path.remove(here)\n"
        "del sys.modules['sitecustomize']\n"
        "import sitecustomize\n"
    )
    environment = hub.environment(os.environ)
    environment["PYTHONPATH"] = str(tmp_path) + os.pathsep + environment["PYTHONPATH"]
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        env=environment,
        stdin=subprocess.PIPE,
    ) as program:
        until(lambda: program.pid in agents_in(hub))
        program.communicate(b"")


TUPLES = """
import sys, threading

def make():
    while not done:
        tuple(x for x in range(50))

def look():
    sys.path.insert(0, {folder!r})
    package = type(sys)("_leak_agent")
    package.__path__ = [{folder!r}]
    sys.modules["_leak_agent"] = package
    from _leak_agent.metric_reader import MetricReader
    reader = MetricReader("")
    for _ in range(2000):
        reader.gc_objects()

done = False
threads = [threading.Thread(target=make) for _ in range(2)]
for thread in threads:
    thread.start()
look()
done = True
"""


@pytest.mark.parametrize("version", VERSIONS_OF_NOTE)
def test_counting_all_objects_breaks_no_tuple_that_is_being_made(version: str) -> None:
    """`tuple(generator)` raises SystemError where somebody else refers to the unfinished tuple."""
    folder = str(Path(check.__code__.co_filename).parents[1] / "agent")
    ran = subprocess.run(
        [str(interpreter(version)), "-c", TUPLES.format(folder=folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
