"""Flamegraphs of real runs under memray: of a callable, of its versions, of its workers."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leak_suite.cli import main
from leak_suite.flamegraph.workers import VARIABLE, track

pytest.importorskip("memray")

JOB = '''"""A job that keeps {kept} bytes of each iteration and takes 3 MB for a moment."""

KEPT = []


def keep():
    KEPT.append(bytearray({kept}))


def work():
    keep()
    return len(bytearray(3_000_000))
'''

POOLED = '''"""A job that is done by a worker process, which opts in to be recorded."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from leak_suite.flamegraph.workers import track

KEPT = []


def resize():
    KEPT.append(bytearray(200_000))


def work():
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, mp_context=context, initializer=track) as pool:
        pool.submit(resize).result()
'''

APP = '''"""An application that keeps something of each request."""

KEPT = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return
    KEPT.append(bytearray(30_000))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def visit(client):
    client.get("/").raise_for_status()
'''


FORKING = '''"""A program that has its child keep something of each line that it is sent."""

import os
import socket
import sys

KEPT = []


def serve(served):
    while served.recv(1):
        KEPT.append(bytearray(40_000))
        served.send(b"x")


ours, served = socket.socketpair()
if os.fork() == 0:
    ours.close()
    serve(served)
    os._exit(0)
served.close()
door = socket.socket(socket.AF_UNIX)
door.bind("\\0" + os.getcwd())
door.listen()
while True:
    with door.accept()[0] as client:
        ours.send(client.recv(1))
        client.send(ours.recv(1))
'''

ASKING = """
import os
import socket

def ask():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\\0" + os.getcwd())
        client.send(b"x")
        assert client.recv(1) == b"x"
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("job.py").write_text(JOB.format(kept=10_000))


class Fetches(HTMLParser):
    """What a browser would fetch of itself; links that one may click are not fetched."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "img": "src", "iframe": "src", "link": "href"}.get(tag)
        self.found += [v for k, v in attrs if k == wanted and v and not v.startswith("data:")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "line", "size"),
    [
        ("leaks", "job.py:7", "KiB"),
        ("peak", "job.py:12", "2.86 MiB"),
        ("temporal", "job.py:12", ""),
    ],
)
def test_a_mode_names_the_line_and_its_page_fetches_nothing(
    mode: str, line: str, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flamegraph", "job.py:work", f"--{mode}", "-o", "fg", "--iterations", "10"]) == 0
    said = capsys.readouterr().out
    page = Path("fg", f"job_py_work-{mode}.html")
    assert str(page) in said
    first = said.partition("most bytes\n")[2].splitlines()[0]
    assert line in first
    assert size in first
    assert Fetches(page).found == []
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page.read_text())


@pytest.mark.slow
def test_growth_leaves_only_the_line_that_leaks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flamegraph", "job.py:work", "--growth", "-o", "fg", "--iterations", "10"]) == 0
    lines = capsys.readouterr().out.partition("most bytes per iteration\n")[2].splitlines()
    assert len(lines) == 1
    assert re.search(r"9\.\d+ KiB/iteration +job\.py:7 keep", lines[0])
    assert "<td>keep</td>" in Path("fg/job_py_work-growth.html").read_text()


@pytest.mark.slow
def test_two_versions_in_two_folders_differ_by_the_line_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kept, moved in (("base", 10_000, ""), ("head", 50_000, "\n\n")):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        Path("job.py").write_text(moved + JOB.format(kept=kept))
        assert main(["flamegraph", "job.py:work", "-o", "fg", "--iterations", "8"]) == 0
    capsys.readouterr()
    files = [str(tmp_path / name / "fg" / "job_py_work-leaks.bin") for name in ("base", "head")]
    assert main(["flamegraph", "--diff", *files, "-o", str(tmp_path / "diff")]) == 0
    lines = capsys.readouterr().out.partition("most bytes per iteration\n")[2].splitlines()
    assert re.search(r"39\.\d KiB/iteration +job\.py:9 keep", lines[0])
    assert len(lines) == 1


@pytest.mark.slow
def test_a_worker_of_a_fork_server_is_recorded_where_it_opts_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("pooled.py").write_text(POOLED)
    assert main(["flamegraph", "pooled.py:work", "-o", "fg", "--iterations", "1"]) == 0
    said = capsys.readouterr().out
    assert "pooled_py_work-leaks-worker-1.html" in said
    assert re.search(r"19\d KiB|[1-9]\d\d KiB +pooled\.py:\d+ resize", said)
    assert "pooled.py:12 resize" in said


@pytest.mark.slow
def test_an_application_is_driven_by_its_workload(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.py").write_text(APP)
    arguments = ["flamegraph", "--app", "shop.py:app", "--workload", "shop.py:visit"]
    assert main([*arguments, "-o", "fg", "--iterations", "10"]) == 0
    assert re.search(r"29[34] KiB +shop\.py:11 app", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["leaks", "growth"])
def test_a_child_of_a_command_is_recorded_while_it_works(
    mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("forking.py").write_text(FORKING)
    Path("asking.py").write_text(ASKING)
    arguments = ["flamegraph", f"--{mode}", "--workload", "asking.py:ask", "--iterations", "10"]
    assert main([*arguments, "-o", "fg", "--", sys.executable, "forking.py"]) == 0
    said = capsys.readouterr().out
    each = "/iteration" if mode == "growth" else ""
    size = r"[34]\d(\.\d)?" if mode == "growth" else r"3\d\d"
    first = said.partition("most bytes")[2].splitlines()[1]
    assert re.search(rf"{size} KiB{each} +forking\.py:12 serve", first), said
    if mode == "leaks":
        assert "left behind, main process: fg/" in said
        assert "left behind, forked from forking.py: fg/" in said
        assert len(list(Path("fg").glob("*.html"))) == 2


def test_a_command_is_not_recorded_from_its_first_import_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["flamegraph", "--peak", "--workload", "job.py:work", "-o", "fg", "--", "true"]
    assert main(arguments) == 2
    assert "a command is recorded once it is warm" in capsys.readouterr().err


@pytest.mark.slow
def test_a_command_without_python_has_nothing_to_record(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["flamegraph", "-o", "fg", "--iterations", "1", "--", "sleep", "60"]) == 2
    assert "nothing of the command can be recorded" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_links_the_flamegraphs_of_what_it_found() -> None:
    arguments = ["run", "job.py:work", "--no-attribution", "--max-seconds", "10", "--quiet"]
    assert main([*arguments, "--flamegraph", "fg", "-o", "out/run.json"]) == 1
    links = json.loads(Path("out/run.json").read_text())["details"]["flamegraphs"]
    assert set(links.values()) == {"../fg/job_py_work-leaks.html", "../fg/job_py_work-growth.html"}
    assert all(Path("out", link).is_file() for link in links.values())


def test_a_workload_that_fails_is_status_2_and_says_how(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("job.py").write_text("def work():\n    raise ValueError('no such order')\n")
    assert main(["flamegraph", "job.py:work", "-o", "fg"]) == 2
    assert "failed while it was recorded: ValueError: no such order" in capsys.readouterr().err


def test_a_worker_is_left_alone_where_no_flamegraph_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    track()
    assert [path.name for path in tmp_path.iterdir()] == ["job.py"]
