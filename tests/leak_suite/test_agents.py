"""The agent reaches every Python process of a subject, and changes nothing that it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leak_suite.checks.check import check
from leak_suite.options import Options
from leak_suite.result import Outcome
from leak_suite.subject import CallableSpec, CommandSpec, Coverage
from leak_suite.subject.agents import AgentHub, AgentLink
from tests.leak_suite.interpreters import VERSIONS, interpreter

WAIT_SECONDS = 30.0

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


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def agents_in(hub: AgentHub) -> dict[int, AgentLink]:
    return {link.life.pid: link for link in hub.links()}


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
