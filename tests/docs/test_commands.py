"""Every command line of README and docs is read by its own parser, and run or kept in a table.

`examples.py` says how each is run, and why the few that are not cannot be.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leak_suite.fit.backends import select_backend
from load.service import serve
from tests.docs.blocks import PAGES, Command, commands
from tests.docs.examples import DOC_EXAMPLES, NOT_RUN, SHORTER, STAND_INS, DocExample, reason
from tests.docs.programs import understood
from tests.docs.sandbox import Sandbox

ALL = [command for page in PAGES for command in commands(page)]
_END_SECONDS = 120.0


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_command_line_is_understood(command: Command) -> None:
    try:
        understood(command.words)
    except SystemExit:
        pytest.fail(f"{command} is not understood by its own parser")


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_command_line_is_run_by_one_test_or_says_why_not(command: Command) -> None:
    ways = [str(one) for one in DOC_EXAMPLES if one.covers(command)]
    ways = ways or [why for why in [reason(command)] if why]
    assert ways, f"{command}: add it to an example, or to NOT_RUN with a reason"
    assert len(ways) == 1, f"{command} is run by several: {ways}"


def test_no_entry_of_the_tables_is_without_a_line() -> None:
    said = {str(one): one.lines() for one in DOC_EXAMPLES}
    assert len(said) == len(DOC_EXAMPLES)
    assert [name for name, lines in said.items() if not lines] == []
    texts = [text for one in ALL for text in (" ".join(one.words), one.said)]
    for begins in (*SHORTER, *NOT_RUN):
        assert any(text.startswith(begins) for text in texts), begins
    words = [f":{word}" for command in ALL for word in command.words]
    assert [one for one in STAND_INS if not any(w.endswith(f":{one}") for w in words)] == []


def test_every_page_with_commands_is_looked_at() -> None:
    pages = {command.page.name for command in ALL}
    assert {"README.md", "index.md", "getting-started.md", "ci.md", "before-you-deploy.md"} <= pages
    assert "evidence.md" in pages
    assert len(ALL) > 50


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service on this machine, in place of one somewhere else."""
    log = tmp_path_factory.mktemp("service") / "service.log"
    with serve("tests.docs.quick_service:app", log) as running:
        yield running.url


def _cases(sandbox: Sandbox) -> None:
    """A folder of one case for Leakbench, without requirements."""
    case = sandbox.out / "cases" / "bounded_deque_fills"
    case.mkdir(parents=True)
    (case / "job.py").write_text("def job():\n    return bytes(100)\n")
    (case / "python.txt").write_text("3.11\n")
    (case / "clean.txt").write_text("")


def _a_run(sandbox: Sandbox) -> None:
    """The run files that a page takes for granted."""
    for file in ("run.json", "reports/out/run.json"):
        sandbox.leak_suite("run", "shop.py:job", "--no-attribution", "-o", file)


def _runs_of_two_branches(sandbox: Sandbox) -> None:
    sandbox.leak_suite("run", "jobs.py:import_orders", "-o", "run.json")
    text = (sandbox.folder / "run.json").read_text()
    out = [f"reports/out/{number}" for number in range(1, 5)]
    for name in ("runs", "runs-of-this-branch", *out):
        (sandbox.folder / name).mkdir(parents=True)
        (sandbox.folder / name / "run.json").write_text(text)


def _a_commit_and_its_run(sandbox: Sandbox) -> None:
    sandbox.leak_suite("run", "shop.py:job", "--no-attribution", "-o", "run.json")
    author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for words in (
        ("init", "--quiet"),
        (*author, "commit", "--quiet", "--allow-empty", "-m", "one"),
    ):
        subprocess.run(["git", *words], cwd=sandbox.folder, check=True)


#: What is there before the first line of a page.
_BEFORE: dict[str, Callable[[Sandbox], None]] = {
    "reading-a-report.md": _a_run,
    "baselines.md": _runs_of_two_branches,
    "history.md": _a_commit_and_its_run,
    "leakbench.md": _cases,
}


def example_case(one: DocExample) -> object:
    marks = [pytest.mark.slow, pytest.mark.timeout(600)] if one.slow else []
    return pytest.param(one, marks=marks, id=str(one))


@pytest.mark.parametrize("example", [example_case(one) for one in DOC_EXAMPLES])
def test_command_lines_do_what_the_page_says(
    example: DocExample, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("jinja2")
    lines = example.lines()
    filled = {}
    if any(STAND_INS.get(word) == "{service}" for line in lines for word in line.words):
        filled["service"] = request.getfixturevalue("service")
    if any("fit" in line.words for line in lines):
        if not (backend := select_backend()).enforced:
            pytest.skip(f"no memory limit can be set here: {backend.unavailable}")
        from fixtures.clips import clip

        filled["clip"] = str(clip(width=320, height=240, seconds=0.3).path)
    sandbox = Sandbox(example, tmp_path, filled)
    if prepare := _BEFORE.get(example.page):
        prepare(sandbox)
    {"in turn": in_turn, "at once": concurrently}[example.how](example, lines, sandbox)


def in_turn(example: DocExample, lines: list[Command], sandbox: Sandbox) -> None:
    """One after the other; each ends with the status that the page promises."""
    for command in lines:
        status, said = sandbox.run(command)
        finds = " ".join(command.words).startswith(example.finds)
        assert status == int(finds), f"{command}\n{said}"


def concurrently(example: DocExample, lines: list[Command], sandbox: Sandbox) -> None:
    """All together: each ends with 0, by itself or when a server has answered and is asked to."""
    twice = [lines[-1]] if "--worker" in lines[-1].words else []
    processes = [sandbox.start(command) for command in (*lines, *twice)]
    try:
        if not twice:
            until_it_answers(f"http://127.0.0.1:{sandbox.port}/health", processes[0])
            processes[0].send_signal(signal.SIGTERM)
        said = [process.communicate(timeout=_END_SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    asked = -signal.SIGTERM
    assert {process.returncode for process in processes} <= {0, asked}, "\n".join(said)


def until_it_answers(url: str, process: subprocess.Popen[str]) -> None:
    """Return as soon as the server is up."""
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended with {process.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert json.load(answer)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"{url} did not answer")
