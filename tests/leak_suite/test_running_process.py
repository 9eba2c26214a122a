"""The agent goes into a process that runs already, and leaves it as it was."""

from __future__ import annotations

import ast
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leak_suite.checks.check import check
from leak_suite.errors import SubjectError
from leak_suite.options import Options
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import Coverage, PidSpec
from leak_suite.subject.agents import AgentHub
from leak_suite.subject.base import Subject
from leak_suite.subject.pid import PidSubject
from tests.leak_suite.interpreters import interpreter
from tests.leak_suite.waiting import WAIT_SECONDS, until

NEW = "3.14"
QUICK = Options(max_seconds=40)

# It answers one word a connection; "state" tells what could have been left behind in it.
SERVICE = """
import _ctypes  # what it is built on may keep a descriptor, which is no trace of the agent
import gc, os, socket, subprocess, sys

kept, children = [], []


def link(fd):
    try:
        return fd + " " + os.readlink("/proc/self/fd/" + fd).partition("[")[0]
    except OSError:
        return ""


def state():
    ours = [name for name in sys.modules if "leak" in name]
    return {
        "modules": ours,
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": sorted(map(link, os.listdir("/proc/self/fd"))),
        "frozen": gc.get_freeze_count(),
        "callbacks": len(gc.callbacks),
        "environment": dict(os.environ),
        "path": list(sys.path),
        "traced": (sys.gettrace() is None, sys.getprofile() is None),
        "monitored": [sys.monitoring.get_tool(n) for n in range(6)]
        if hasattr(sys, "monitoring") else [],
        "interval": sys.getswitchinterval(),
        "hooks": sum(type(i).__name__ == "Follower" for i in gc.get_objects()),
    }


def answer(word):
    if word == "leak":
        kept.append(bytes(bytearray(20_000)))
    elif word == "state":
        return state()
    elif word == "freeze":
        gc.freeze()
        return gc.get_freeze_count()
    elif word == "end":
        os._exit(3)
    elif word == "fork":
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    elif word in ("worker", "child"):
        if not children:
            ours, theirs = socket.socketpair()
            children.append(ours)
            if word == "child":
                code = "import sys; sys.argv = ['x', '%d']; exec(open(%r).read())"
                code %= (theirs.fileno(), __file__)
                passed = [theirs.fileno()]
                children.append(subprocess.Popen([sys.executable, "-c", code], pass_fds=passed))
            elif os.fork() == 0:
                ours.close()  # or the worker would wait for itself when the service has ended
                serve_one(theirs)
            theirs.close()
        children[0].sendall(b"leak")
        children[0].recv(1)
    elif word == "worker state":
        children[0].sendall(b"state")
        return eval(children[0].recv(1 << 20))
    return None


def serve_one(connection):
    while word := connection.recv(100).decode():
        found = answer(word)
        connection.sendall(repr(found).encode() if word == "state" else b"x")
    os._exit(0)


if sys.argv[1].isdigit():
    serve_one(socket.socket(fileno=int(sys.argv[1])))
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(16)
while True:
    connection, _ = server.accept()
    with connection:
        connection.sendall(repr(answer(connection.recv(100).decode())).encode())
"""

DRIVE = """
import socket

def talk(word):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect({path!r})
        connection.sendall(word.encode())
        return connection.recv(1 << 20)

def leak(): talk("leak")
def clean(): talk("clean")
def fork(): talk("fork")
def worker(): talk("worker")
def child(): talk("child")
def client(client): client.get("/")
"""


class Service:
    """The process that somebody else runs."""

    def __init__(self, folder: Path, python: Path) -> None:
        folder.chmod(0o755)
        (folder / "service.py").write_text(SERVICE)
        # The name of a socket may have 107 characters only.
        self._short = tempfile.TemporaryDirectory(prefix="svc-")
        self.path = f"{self._short.name}/s"
        (folder / "drive.py").write_text(DRIVE.format(path=self.path))
        self._drive = folder / "drive.py"
        self.errors = folder / "errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [str(python), "-W", "error", str(folder / "service.py"), self.path],
                stdout=errors,
                stderr=errors,
            )
        until(self._listens)
        self.pid = self.process.pid

    def _listens(self) -> bool:
        try:
            self.ask("clean")
        except OSError:
            return False
        return True

    def ask(self, word: str) -> object:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.path)
            connection.sendall(word.encode())
            return ast.literal_eval(connection.recv(1 << 20).decode())

    def spec(self, workload: str | None) -> PidSpec:
        return PidSpec(self.pid, None if workload is None else f"{self._drive}:{workload}")

    def state(self, word: str = "state") -> dict[str, object]:
        """Once the agent's thread, which has said that it ends, is no longer counted."""
        found = self.ask(word)
        assert isinstance(found, dict)
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._short.cleanup()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, interpreter(NEW))
    yield made
    made.close()


def but(state: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in state.items() if name not in names}


def test_a_leak_in_a_running_process_has_its_line(service: Service) -> None:
    result = check(service.spec("leak"), QUICK)
    assert result.outcome is Outcome.GROWING
    heap = result.finding("heap")
    assert heap.rate == pytest.approx(20_000, rel=0.1)
    assert [site.line for site in heap.sites][:1] == [line_of("kept.append")]
    assert result.agents is not None
    assert (result.agents.connected, result.agents.processes) == (1, 1)


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(SERVICE.splitlines(), 1) if text in line)


@pytest.mark.parametrize("workload", ["clean", "leak"])
def test_a_process_is_left_as_it_was(service: Service, workload: str) -> None:
    before = service.state()
    result = check(service.spec(workload), QUICK)
    assert result.agents is not None
    assert result.agents.connected == 1
    until(lambda: service.state()["threads"] == before["threads"])
    assert but(service.state(), "hooks") == but(before, "hooks")
    assert service.errors.read_text() == ""


def test_a_process_that_forks_meanwhile_is_left_as_it_was_too(service: Service) -> None:
    before = service.state()
    with service.spec("fork").open() as subject:
        subject.freeze()
        done = subject.round(50, seconds=20)
        assert (done.done, done.error) == (50, None)
        assert subject.coverage() == Coverage(1, 1)
    until(lambda: service.state()["threads"] == before["threads"])
    assert but(service.state(), "hooks") == but(before, "hooks")
    assert service.errors.read_text() == ""


def folders_of(subject: Subject) -> list[Path]:
    assert isinstance(subject, PidSubject)
    return [Path("/tmp", root.name) for root in subject._attachment._roots.values()]


def test_the_files_that_were_put_into_its_root_are_removed(service: Service) -> None:
    with service.spec("clean").open() as subject:
        folders = folders_of(subject)
        assert [folder.is_dir() for folder in folders] == [True]
    assert [folder.exists() for folder in folders] == [False]


def test_they_are_removed_where_the_process_has_ended_before(service: Service) -> None:
    with service.spec("clean").open() as subject:
        folders = folders_of(subject)
        assert [folder.is_dir() for folder in folders] == [True]
        service.process.kill()
        service.process.wait()
    assert [folder.exists() for folder in folders] == [False]


def test_the_one_fork_hook_that_stays_does_nothing_and_is_used_again(service: Service) -> None:
    for _ in range(3):
        with service.spec("clean").open() as subject:
            assert subject.coverage() == Coverage(1, 1)
    service.ask("fork")
    assert service.state()["hooks"] == 1
    assert service.errors.read_text() == ""


def test_what_the_process_froze_itself_stays_frozen(service: Service) -> None:
    frozen = service.ask("freeze")
    assert isinstance(frozen, int)
    with service.spec("clean").open() as subject:
        subject.freeze()
    assert service.state()["frozen"] == pytest.approx(frozen, abs=50)


@pytest.mark.parametrize("kind", ["worker", "child"])
def test_a_process_that_starts_after_the_agent_came_is_seen_too(
    service: Service, kind: str
) -> None:
    result = check(service.spec(kind), QUICK)
    assert result.outcome is Outcome.GROWING
    heap = result.finding("heap")
    assert heap.rate == pytest.approx(20_000, rel=0.1)
    assert heap.process
    assert result.agents is not None
    assert (result.agents.connected, result.agents.processes) == (2, 2)
    until(lambda: service.state("worker state")["threads"] == 1)
    state = service.state("worker state")
    assert (state["modules"], state["frozen"]) == ([], 0)
    assert service.errors.read_text() == ""


def test_a_worker_that_was_forked_before_is_entered_as_well(service: Service) -> None:
    service.ask("worker")
    result = check(service.spec("worker"), QUICK)
    assert result.outcome is Outcome.GROWING
    assert result.finding("heap").process
    assert result.agents is not None
    assert (result.agents.connected, result.agents.processes) == (2, 2)


def test_a_host_that_is_killed_leaves_nothing_in_the_process_either(service: Service) -> None:
    before = service.state()
    code = """
        import sys, time
        from leak_suite.subject import PidSpec
        with PidSpec(int(sys.argv[1]), sys.argv[2]).open() as subject:
            subject.freeze()
            print(subject.coverage().inside, flush=True)
            print(*[root.name for root in subject._attachment._roots.values()], flush=True)
            sys.stdin.read()
        """
    spec = service.spec("clean")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(spec.pid), str(spec.workload)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "1\n"
        folder = host.stdout.readline().strip()
        assert service.state()["modules"]
        host.kill()
    until(lambda: not service.state()["modules"])
    until(lambda: service.state()["threads"] == before["threads"])
    assert but(service.state(), "hooks") == but(before, "hooks")
    shutil.rmtree(f"/tmp/{folder}")  # which it was to do


def test_a_second_gate_on_the_same_process_says_why_it_sees_the_outside_only(
    service: Service,
) -> None:
    with service.spec("clean").open() as first:
        with service.spec("clean").open() as second:
            assert second.coverage() == Coverage(0, 0)
            assert "another gate measures it already" in str(second.about.environment["seen"])
            assert first.coverage() == Coverage(1, 1)
        assert first.round(10, seconds=5).values["rss"]
        assert first.coverage() == Coverage(1, 1)


def test_a_process_that_waits_is_seen_from_outside_and_prints_nothing_later(
    service: Service,
) -> None:
    with service.spec(None).open() as subject:
        assert "has run no Python code" in str(subject.about.environment["seen"])
    service.ask("clean")
    assert service.errors.read_text() == ""
    assert service.state()["modules"] == []


def test_a_process_that_ends_meanwhile_is_named_in_the_answer(service: Service) -> None:
    answers: list[RunResult] = []
    long = Options(max_seconds=60, soak=True)
    run = threading.Thread(target=lambda: answers.append(check(service.spec("clean"), long)))
    run.start()
    until(lambda: bool(service.state()["modules"]))
    service.process.kill()
    service.process.wait()
    run.join(60)
    assert answers[0].outcome is Outcome.INCONCLUSIVE
    assert f"process {service.pid} ended" in answers[0].reason


def test_a_workload_with_a_client_needs_a_port(service: Service) -> None:
    with pytest.raises(SubjectError, match="listens on no port"):
        service.spec("client").open().__enter__()


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_an_older_python_is_seen_from_outside_and_says_why(tmp_path: Path, version: str) -> None:
    service = Service(tmp_path, interpreter(version))
    try:
        result = check(service.spec("leak"), Options(max_seconds=20))
    finally:
        service.close()
    assert result.finding("rss").outcome is Outcome.GROWING
    assert f"it runs Python {version}" in str(result.environment["seen"])
    assert service.errors.read_text() == ""


def test_a_program_that_is_not_python_is_reported_so() -> None:
    with (
        subprocess.Popen(["/bin/sleep", "60"]) as program,
        PidSpec(program.pid).open() as subject,
    ):
        assert subject.about.environment["seen"] == "from outside"
        program.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_process_of_another_user_is_distinguished_by_permission(service: Service) -> None:
    code = """
        import os, sys
        from leak_suite.subject.agents import AgentHub, life_of
        from leak_suite.subject.attach import Attachment
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with AgentHub() as hub:
            attachment = Attachment(hub)
            life = life_of(int(sys.argv[1]))[0]
            attachment.reach([life])
            print(attachment.why_not(life))
            attachment.leave()
        """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(service.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "this user may not trace it" in ran.stdout


def test_nobody_is_awaited_where_nobody_was_asked() -> None:
    with AgentHub() as hub:
        hub.wait_for_all([], WAIT_SECONDS)
