"""Programs that keep the agent out, lose it or leave their place: a clear answer, nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leak_suite.checks.check import check
from leak_suite.cli import main
from leak_suite.options import Options
from leak_suite.render import headline
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import CallableSpec, CommandSpec
from leak_suite.subject.agents import AgentHub

# Answers one call after the other; {before} is what it does first, {each} what it does for a call.
SERVER = """
import os, signal, socket, sys, time
KEPT = []
{before}
door = socket.socket(socket.AF_UNIX)
door.bind("\\0{door}")
door.listen()
while True:
    with door.accept()[0] as client:
        client.recv(1)
        {each}
        client.send(b"x")
"""
ASK = """
import socket

def ask():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\\0{door}")
        client.send(b"x")
        assert client.recv(1) == b"x"
"""
KEEP = "KEPT.append(bytearray(20_000))"
DAEMON = """
if os.fork():
    time.sleep(3600)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
os.closerange(0, 4096)
for _ in range(3):
    os.open(os.devnull, os.O_RDWR)
"""
CLEANED = f"""
if sys.argv[1:] != ["cleaned"]:
{textwrap.indent(DAEMON, "    ")}
    os.execve(sys.executable, [sys.executable, __file__, "cleaned"], {{}})
"""
CLOSES = "os.closerange(3, 4096)"
CHROOT = "os.chroot(os.path.dirname(os.path.abspath(__file__)))"
USER = "os.setgid(65534); os.setuid(65534)"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may change user or root")


class Program:
    """The files of one server and of the workload that calls it, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.door = f"leak-suite-test-{os.getpid()}-{folder.name}"

    def check(
        self,
        *words: str,
        before: str = "",
        each: str = KEEP,
        attribution: bool = False,
    ) -> RunResult:
        """What the gate says of the server, which `words` start; the server's file comes last."""
        server, workload = self.folder / "server.py", self.folder / "asking.py"
        server.write_text(SERVER.format(before=before, each=each, door=self.door))
        workload.write_text(ASK.format(door=self.door))
        argv = (*(words or (sys.executable,)), str(server))
        spec = CommandSpec(argv, f"{workload}:ask")
        return check(spec, Options(max_seconds=15, attribution=attribution))

    def is_running(self) -> bool:
        """Whether a process of the server is still there."""
        sockets = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")
        return self.door in sockets


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """A server; what the gate puts into the folder for temporary files is gone in the end."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    made = Program(tmp_path)
    yield made
    assert not made.is_running()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((sys.executable, "-S"), "started with -S"),
        ((sys.executable, "-I"), "started with -I"),
        ((sys.executable, "-B", "-E"), "started with -E"),
        (("env", "-i", sys.executable), "its environment lacks LEAK_SUITE_AGENT"),
        (("env", "PYTHONPATH=", sys.executable), "its PYTHONPATH is another than it was given"),
    ],
    ids=["no site", "isolated", "no environment", "cleaned environment", "own path"],
)
def test_a_python_that_keeps_the_agent_out_is_never_stable_and_it_is_said_why(
    program: Program, words: tuple[str, ...], why: str
) -> None:
    result = program.check(*words, each="pass")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.agents is not None
    (missing,) = result.agents.missing
    assert missing.startswith("server.py (pid ")
    assert missing.endswith(f": {why})")
    assert missing in headline(result)


def test_of_a_command_that_is_not_python_the_first_line_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "--max-seconds", "15", "--", "sleep", "60"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("STABLE: none of ")
    assert first.endswith("; no process runs Python: seen from outside only")


def test_a_program_that_closes_all_descriptors_gets_its_agent_back(program: Program) -> None:
    result = program.check(before=CLOSES, attribution=True)
    assert result.outcome is Outcome.GROWING
    heap = result.finding("heap")
    assert heap.rate == pytest.approx(20_000, rel=0.1)
    assert heap.sites[0].holder == "__main__.KEPT"


def test_a_daemon_is_seen_wherever_it_has_gone_and_ended_with_the_run(program: Program) -> None:
    result = program.check(before=DAEMON)
    assert result.outcome is Outcome.GROWING
    assert result.finding("heap").rate == pytest.approx(20_000, rel=0.1)
    assert result.agents is not None
    assert (result.agents.connected, result.agents.processes) == (2, 2)


def test_a_daemon_without_an_agent_is_seen_too(program: Program) -> None:
    result = program.check(sys.executable, "-I", before=DAEMON, each="pass")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.agents is not None
    assert [": started with -I" in one for one in result.agents.missing] == [True, True]


def test_a_daemon_that_cleans_its_environment_is_seen_and_ended_too(program: Program) -> None:
    result = program.check(before=CLEANED)
    assert result.outcome is Outcome.GROWING
    assert result.finding("private_dirty").rate == pytest.approx(20_000, rel=0.3)
    assert result.agents is not None
    (missing,) = result.agents.missing
    assert missing.endswith(": its environment lacks LEAK_SUITE_AGENT)")


@needs_root
@pytest.mark.parametrize("before", [CHROOT, DAEMON + CHROOT], ids=["alone", "as a daemon"])
def test_another_root_keeps_the_agents_code_away_and_it_is_said(
    program: Program, before: str
) -> None:
    result = program.check(before=before, each="pass")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "the agent failed there: ModuleNotFoundError" in headline(result)


@needs_root
def test_another_user_is_measured_as_before_or_it_is_said_why_not(program: Program) -> None:
    """Where that user may not read the agent's files, it cannot load them."""
    result = program.check(before=USER)
    assert result.outcome is Outcome.GROWING
    assert result.agents is not None
    if result.agents.connected:
        assert result.finding("heap").rate == pytest.approx(20_000, rel=0.1)
    else:
        assert "the agent failed there: ModuleNotFoundError" in result.agents.missing[0]
        assert result.finding("rss").outcome is Outcome.GROWING


@needs_root
def test_another_network_namespace_is_named(program: Program) -> None:
    apart = ("unshare", "--net", "true")
    if subprocess.run(apart, capture_output=True, check=False).returncode != 0:
        pytest.skip("no network namespace can be made here")
    argv = ("unshare", "--net", sys.executable, "-c", "import time; time.sleep(60)")
    result = check(CommandSpec(argv), Options(max_seconds=10, attribution=False))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.agents is not None
    assert result.agents.missing[0].endswith(": in another network namespace)")


@pytest.mark.parametrize(
    "path",
    ["with blanks and 'quotes' \"two\"", "ünïcödé", "$HOME; `id`", "a\nline", "", "::"],
    ids=["blanks and quotes", "unicode", "words of a shell", "a new line", "empty", "colons"],
)
def test_any_path_of_the_subject_stays_as_it_is(tmp_path: Path, path: str) -> None:
    """But for the folder of the agent, which is taken off again."""
    given = path if set(path) <= {":"} else str(tmp_path / path)
    code = "import sys; print(ascii(sys.path))"
    environment = {**os.environ, "PYTHONPATH": given}
    with AgentHub() as hub:
        alone, watched = (
            subprocess.run(
                [sys.executable, "-c", code], env=one, capture_output=True, text=True, check=True
            ).stdout
            for one in (environment, hub.environment(environment))
        )
    assert watched == alone


def test_a_subject_that_another_gate_measures_is_named(program: Program) -> None:
    with AgentHub() as other:
        name, value = other.variable
        result = program.check("env", f"{name}={value}", sys.executable, each="pass")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "another gate measures it" in headline(result)


def test_a_gate_under_a_gate_keeps_its_subject(program: Program) -> None:
    """The inner one judges it; the outer one says that it did not see into it."""
    job = program.folder / "job.py"
    job.write_text("import time\n\ndef job():\n    time.sleep(0.001)\n")
    inner = (sys.executable, "-m", "leak_suite", "run", "--max-seconds", "60", f"{job}:job")
    with CommandSpec(inner).open() as subject:
        deadline = time.monotonic() + 60
        while not subject.round(1, seconds=0.2).processes or not subject.coverage().without:
            assert time.monotonic() < deadline
        assert any("another gate measures it" in one for one in subject.coverage().without)


KILLED = """
import os, signal, subprocess, sys

CHILD = '''
import os, signal, sys
kept = []
for _ in sys.stdin:
    kept.append(bytearray(20_000))
    if "_leak_agent.tracing.allocations" in sys.modules:
        os.kill(os.getpid(), signal.SIGKILL)
    print(flush=True)
'''
child = None

def job():
    global child
    if child is None:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
    child.stdin.write("go\\n")
    child.stdin.flush()
    if not child.stdout.readline():
        child = None
"""


def test_a_worker_that_is_killed_while_it_is_traced_leaves_its_verdict_standing(
    program: Program,
) -> None:
    path = program.folder / "killed.py"
    path.write_text(KILLED)
    result = check(CallableSpec(f"{path}:job"), Options(max_seconds=20))
    assert result.outcome is Outcome.GROWING
    heap = result.finding("heap")
    assert heap.rate == pytest.approx(20_000, rel=0.1)
    assert not heap.sites
    assert "No line is named" in heap.reason
    assert "is gone" in heap.reason


@pytest.mark.parametrize("state", ["gone", "full"])
def test_a_folder_for_temporary_files_that_is_gone_or_full_keeps_no_agent_out(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The socket that agents connect to is in no folder; files go to the next folder that works."""
    place = tmp_path / state
    if state == "full":
        place.mkdir()
        mount = ("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place))
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("no file system can be mounted here")
        with pytest.raises(OSError, match="No space left"):
            (place / "filler").write_bytes(bytes(1 << 20))
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    try:
        result = program.check(attribution=True)
    finally:
        if state == "full":
            subprocess.run(["umount", str(place)], check=True)
    assert result.outcome is Outcome.GROWING
    assert result.finding("heap").sites[0].holder == "__main__.KEPT"
