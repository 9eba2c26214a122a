"""`leak-suite init`: what it finds, writes and refuses; and that its next command works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leak_suite.cli import main
from leak_suite.errors import ConfigurationError
from leak_suite.init import start
from leak_suite.init.find import find_apps
from leak_suite.init.routes import routes_of_openapi
from leak_suite.options import resolve
from leak_suite.result import Outcome, RunResult

pytest.importorskip("fastapi")
ROOT = Path(__file__).resolve().parents[2]
SHOP = """
from fastapi import FastAPI

app = FastAPI()
seen = []


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/items/{item}")
def item(item: int, page: int = 1):
    seen.append("x" * 3000 + str(item))
    return {"item": item}


@app.get("/people/{name}")
def person(name: str):
    return {"name": name}


@app.post("/items")
def add():
    return {}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "main.py").write_text(SHOP)
    return folder


def test_the_likeliest_application_comes_first(tmp_path: Path) -> None:
    for name, text in {
        "tools/extra.py": "import fastapi\nadmin: fastapi.FastAPI = fastapi.FastAPI()\n",
        "shop/app.py": "from shop.make import create_app\napp = create_app(1)\n",
        "shop/make.py": "from fastapi import FastAPI\ndef create_app(n):\n    return FastAPI()\n",
        "broken.py": "def (:\n",
        "tests/test_shop.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        ".venv/app.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [f"{place.file}:{place.name}" for place in find_apps(tmp_path)]
    assert found == ["shop/app.py:app", "tools/extra.py:admin"]


def test_only_routes_that_are_safe_to_repeat_are_called(shop: Path) -> None:
    started = start(shop)
    text = (shop / "leak_workload.py").read_text()
    code = [line.strip() for line in text.splitlines() if re.search(r'get\(.*"/', line)]
    assert code == ['get(client, "/health")', 'client.get("/items/1")']
    assert '("POST", "/items"),  # may change something' in text
    assert '("GET", "/people/{name}"),  # needs a value that only you know' in text
    assert started.app == "main.py:app"


def test_parameters_take_the_value_that_the_description_gives() -> None:
    def parameter(name: str, where: str = "path", **schema: object) -> dict[str, object]:
        return {"name": name, "in": where, "required": True, "schema": schema}

    def answers(kind: str) -> dict[str, object]:
        return {"200": {"content": {kind: {}}}}

    paths = {
        "/a/{n}": {"get": {"parameters": [parameter("n", type="integer", minimum=5)]}},
        "/b/{c}": {"get": {"parameters": [parameter("c", type="string", enum=["red", "blue"])]}},
        "/c": {"get": {"parameters": [parameter("q", "query", type="string", example="tea")]}},
        "/d": {"get": {"parameters": [parameter("token", "header", type="string")]}},
        "/e": {"get": {"responses": answers("text/event-stream")}},
        "/f": {"get": {"responses": answers("application/json")}},
    }
    routes = routes_of_openapi({"paths": paths})
    assert routes.plain == ("/f",)
    assert routes.made_up == ("/a/5", "/b/red", "/c?q=tea")
    assert [path for _, path, _ in routes.left_out] == ["/d", "/e"]


def test_a_post_beside_a_get_on_one_path_is_not_lost() -> None:
    routes = routes_of_openapi({"paths": {"/upload": {"get": {}, "post": {}, "parameters": []}}})
    assert routes.plain == ("/upload",)
    assert routes.left_out == (("POST", "/upload", "may change something"),)


def test_the_table_is_added_to_a_pyproject_that_lacks_it(shop: Path) -> None:
    (shop / "pyproject.toml").write_text('[project]\nname = "shop"')
    started = start(shop, python=Path(sys.executable))
    text = (shop / "pyproject.toml").read_text()
    assert text.startswith('[project]\nname = "shop"\n\n[tool.leak_suite]\n')
    options = resolve({}, shop)
    assert (options.max_seconds, options.python) == (60.0, Path(sys.executable))
    assert "pyproject.toml [tool.leak_suite]" in started.written


def test_a_table_that_is_there_stays_as_it_is(shop: Path) -> None:
    before = '[tool.leak_suite]\nmax_seconds = "5s"\n'
    (shop / "pyproject.toml").write_text(before)
    started = start(shop)
    assert (shop / "pyproject.toml").read_text() == before
    assert "already" in started.notes[0]


def test_without_a_pyproject_the_table_is_only_shown(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert main(["init"]) == 0
    assert "[tool.leak_suite]" in capsys.readouterr().out
    assert not (shop / "pyproject.toml").exists()


@pytest.mark.parametrize("name", ["leak_workload.py", "tests/test_leaks.py"])
def test_nothing_is_overwritten(
    name: str, shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / name).parent.mkdir(exist_ok=True)
    (shop / name).write_text("mine")
    (shop / "pyproject.toml").write_text("")
    before = {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()}
    monkeypatch.chdir(shop)
    assert main(["init"]) == 2
    assert f"{name} exist" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()} == before


def test_an_application_that_cannot_be_loaded_is_reported_and_nothing_written(shop: Path) -> None:
    (shop / "main.py").write_text("import no_such_module\n" + SHOP)
    with pytest.raises(ConfigurationError, match="no_such_module"):
        start(shop)
    assert {path.name for path in shop.iterdir()} <= {"main.py", "__pycache__"}


def test_a_folder_without_an_application_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--app package\.module:app"):
        start(tmp_path)


def test_a_package_is_named_as_a_module_and_a_src_layout_without_src(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "main.py").write_text("from shop import stock\n" + SHOP)
    (package / "stock.py").write_text("")
    assert start(tmp_path).app == "shop.main:app"


def cli(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def next_command(said: str) -> list[str]:
    return shlex.split(said.split("Next:")[1].strip())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("leaky", [False, True])
def test_the_next_command_judges_an_example_as_promised(leaky: bool, tmp_path: Path) -> None:
    folder = tmp_path / "sync_fastapi"
    shutil.copytree(ROOT / "examples" / "sync_fastapi", folder)
    (folder / ("app.py" if leaky else "app_leaky.py")).unlink()
    said = cli(folder, "leak_suite", "init")
    assert said.returncode == 0, said.stderr
    _, *words = next_command(said.stdout)
    done = cli(folder, "leak_suite", *words)
    result = RunResult.read(folder / "run.json")
    assert result.outcome is (Outcome.GROWING if leaky else Outcome.STABLE), done.stdout
    assert done.returncode == result.outcome.status
    if leaky:
        line = "recent.append"
        place = next(f.sites[0] for f in result.findings if f.outcome is Outcome.GROWING)
        assert line in (folder / "app_leaky.py").read_text().splitlines()[place.line - 1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_test_that_it_writes_fails_on_a_leak(shop: Path) -> None:
    start(shop)
    done = cli(shop, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 1, done.stdout
    assert "main.py:15" in done.stdout
