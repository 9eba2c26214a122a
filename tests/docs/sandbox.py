"""Where command lines of the docs are run: a folder, the tools, and what stands in for others."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from leak_suite.service_process import free_port
from tests.docs.blocks import ROOT, Command
from tests.docs.examples import SHORTER, STAND_INS, VARIABLES, DocExample
from tests.docs.programs import inside

__all__ = ["Sandbox"]

_Entry = TypeVar("_Entry")
_TOOLS = {
    "leak-suite": "-m leak_suite",
    "pytest": "-m pytest",
    "locust": "-m locust",
    "python": "",
}
_VISIT = 'def visit(client):\n    client.get("/").raise_for_status()\n'
_SHOP = {
    "shop.py": "KEPT = []\n\n\ndef job():\n    KEPT.append(bytearray(2000))\n",
    "jobs.py": "RING = [b''] * 50\n\n\ndef import_orders():\n"
    "    RING.append(bytes(5000))\n    del RING[0]\n",
    "shop/__init__.py": "",
    "shop/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\nkept = []\n\n\n"
    '@app.get("/")\ndef root():\n    kept.append("x" * 30_000 + str(len(kept)))\n    return {}\n',
    "shop/__main__.py": "import sys\n\nimport uvicorn\n\n"
    'uvicorn.run("shop.main:app", port=int(sys.argv[2]), log_level="warning")\n',
    "shop_workload.py": _VISIT,
    "leak_workload.py": _VISIT,
    "my_service/__init__.py": "",
    "my_service/main.py": "from reference_app.app import create_app\n"
    "from reference_app.settings import Settings\n\n"
    "app = create_app(Settings(max_processing=4, max_pending=20))\n",
}


class Sandbox:
    """A reader's project, or this checkout, with everything of `{…}` in the tables filled in."""

    def __init__(self, example: DocExample, folder: Path, filled: Mapping[str, str]) -> None:
        self._path = folder / "bin"
        self.out = folder / "out"
        self.out.mkdir()
        self.port = free_port()
        self.folder = ROOT if example.checkout else folder / "project"
        installed = os.pathsep.join([str(ROOT), str(self.folder)])
        own = {"out": str(self.out), "port": str(self.port), "installed": installed}
        self._filled = {**own, **filled}
        if not example.checkout:
            _project(example.lines()[0].page, self.folder)
        self._make_tools()

    def _make_tools(self) -> None:
        """`leak-suite` and the like of this interpreter, wherever they are installed."""
        self._path.mkdir()
        for name, words in _TOOLS.items():
            tool = self._path / name
            tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            tool.chmod(0o755)

    def words(self, command: Command) -> list[str]:
        """What is run in place of this line."""
        words = [self._stand_in(word) for word in command.words]
        more = [self._fill(word) for added in _meant(SHORTER, command) for word in added]
        end = words.index("--") if "--" in words else len(words)
        words[end:end] = more
        if words[:3] == ["tox", "run", "-e"]:
            # Not the environment, which takes minutes to make, but what tox runs in it.
            words = inside(words[3], command.words[5:])
        return words

    def _stand_in(self, word: str) -> str:
        for shown, other in STAND_INS.items():
            if word == shown or word.endswith(f":{shown}"):
                return word.removesuffix(shown) + self._fill(other)
        return word

    def _fill(self, text: str) -> str:
        # `{port}` in a line of the docs is the reader's own and never comes here.
        return re.sub(r"\{(\w+)\}", lambda found: self._filled[found[1]], text)

    def _environment(self, command: Command) -> dict[str, str]:
        variables = dict(pair for some in _meant(VARIABLES, command) for pair in some.items())
        wanted = {name: self._fill(value) for name, value in variables.items()}
        said = dict(word.split("=", 1) for word in command.variables)
        path = os.pathsep.join([str(self._path), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **wanted, **said}

    def start(self, command: Command) -> subprocess.Popen[str]:
        """Start it as a shell would."""
        return subprocess.Popen(
            self.words(command),
            cwd=self.folder,
            env=self._environment(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: Command) -> tuple[int, str]:
        """Its status and all that it said."""
        process = self.start(command)
        try:
            said, _ = process.communicate()
        finally:
            process.kill()
        return process.returncode, said

    def leak_suite(self, *words: str) -> None:
        """Make a file that the page takes for granted."""
        command = Command(ROOT, 0, ("leak-suite", *words), ())
        status, said = self.run(command)
        assert status in (0, 1), said


def _meant(table: Mapping[str, _Entry], command: Command) -> list[_Entry]:
    """What a table says of lines that begin as this one does."""
    said = f"{shlex.join(command.words)} "
    return [entry for begins, entry in table.items() if said.startswith(f"{begins} ")]


def _project(page: Path, folder: Path) -> None:
    """A project in which the page's commands make sense."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "scratch"\nversion = "1"\n')
    files = dict(re.findall(r'```python title="(main\.py)"\n(.*?)```', page.read_text(), re.S))
    for name, text in (files or _SHOP).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
