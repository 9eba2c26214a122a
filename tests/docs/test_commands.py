"""Every command line of README and docs is read by its own parser, and run where that is short.

Run are those of the pages in RUN; the others need minutes, a network, or a privilege. A block under
`<!-- check: parsed only -->` is not run there either.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from benchmarks.leakbench import command as leakbench
from fixtures.defects import __main__ as defects
from leak_suite.cli.arguments import parse
from load import run as load
from tests.docs.blocks import PAGES, ROOT, Command, commands

ALL = [command for page in PAGES for command in commands(page)]
#: Programs that are not ours; their words are looked at where they name our files.
FOREIGN = {"pip", "git", "docker", "cd"}
#: What a reader puts in place of a word in capitals.
_FILLED = {"N": "2", "NAME": "clean"}


def environments() -> set[str]:
    """The names of tox's environments, its factors multiplied out."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    names = {name.partition(":")[2] for name in tox.sections() if name.startswith("testenv:")}
    for name in tuple(names):
        if found := re.fullmatch(r"(\w+)\{([\d,]+)\}", name):
            names |= {found[1] + part for part in found[2].split(",")}
    return names


def understood(words: list[str]) -> None:
    """Fail unless the program's own parser takes these words."""
    words = [_FILLED.get(word, word) for word in words]
    match words:
        case ["leak-suite", *rest]:
            parse(rest)
        case ["python" | "python3", "dev.py", *rest]:
            assert not rest or rest[0] in environments()
        case ["python" | "python3", "-m", "load", *rest]:
            load._parser().parse_args(rest)
        case ["python" | "python3", "-m", "fixtures.defects", *rest]:
            defects._parser().parse_args(rest)
        case ["python" | "python3", "-m", "benchmarks.leakbench", *rest]:
            leakbench._parser().parse_args(rest)
        case ["locust", *_] | ["python" | "python3", "-m", "uvicorn", *_] | ["pytest", *_]:
            named = [word for word in words if word.endswith(".py")]
            assert all((ROOT / word).exists() or word == "tests/test_leaks.py" for word in named)
        case [program, *rest] if program in FOREIGN:
            files = [word for word in rest if word.startswith("requirements/")]
            assert all((ROOT / word).exists() for word in files)
        case _:
            pytest.fail(f"no test knows this program: {words}")


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_command_line_is_understood(command: Command) -> None:
    try:
        understood(list(command.words))
    except SystemExit:
        pytest.fail(f"{command} is not understood by its own parser")


def test_every_page_with_commands_is_looked_at() -> None:
    pages = {command.page.name for command in ALL}
    assert {"README.md", "index.md", "getting-started.md", "ci.md", "before-you-deploy.md"} <= pages
    assert len(ALL) > 25


RUN = (
    "README.md",
    "docs/index.md",
    "docs/getting-started.md",
    "docs/ci.md",
    "docs/reading-a-report.md",
)
_VISIT = 'def visit(client):\n    client.get("/").raise_for_status()\n'
_SHOP = {
    "shop.py": "KEPT = []\n\n\ndef job():\n    KEPT.append(bytearray(2000))\n",
    "shop/__init__.py": "",
    "shop/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\nkept = []\n\n\n"
    '@app.get("/")\ndef root():\n    kept.append("x" * 30_000 + str(len(kept)))\n    return {}\n',
    "shop/__main__.py": "import sys\n\nimport uvicorn\n\n"
    'uvicorn.run("shop.main:app", port=int(sys.argv[2]), log_level="warning")\n',
    "shop_workload.py": _VISIT,
    "leak_workload.py": _VISIT,
}
_OF_A_RUN = ("run", "shop.py:job", "--no-attribution", "-o")


def scratch(page: Path, folder: Path) -> None:
    """A project in which the page's commands make sense."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "scratch"\nversion = "1"\n')
    files = dict(re.findall(r'```python title="(main\.py)"\n(.*?)```', page.read_text(), re.S))
    for name, text in (files or _SHOP).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def run(command: Command, folder: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    """As in a shell, with the tools of this environment."""
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    variables = dict(word.split("=", 1) for word in command.variables)
    environment = {**os.environ, **variables, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command.words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """`leak-suite`, `pytest` and `python` of this interpreter, wherever they are installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, words in (("leak-suite", "-m leak_suite"), ("pytest", "-m pytest"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_as_they_are_written(
    page: str, tools: Path, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    programs = {"leak-suite", "pytest"}
    shown = [c for c in commands(ROOT / page) if c.words[0] in programs and not c.check]
    assert shown
    project = tmp_path / "project"
    scratch(shown[0].page, project)
    if page == "docs/reading-a-report.md":
        for file in ("run.json", "reports/out/run.json"):
            words = ("leak-suite", *_OF_A_RUN, file)
            assert run(Command(ROOT / page, 0, words, (), ""), project, tools).returncode == 1
    for command in shown:
        done = run(command, project, tools)
        # Everything that judges this project finds its leak; all else is plainly done.
        judges = command.words[0] == "pytest" or command.words[1] in ("run", "show")
        assert done.returncode == int(judges), f"{command}\n{done.stdout}{done.stderr}"
