"""`leak-suite init` in projects of Flask, Django, Celery and Starlette; what it says works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.catalogue.servers import redis_server
from leak_suite.errors import ConfigurationError
from leak_suite.init import start
from leak_suite.init.find import find_apps
from leak_suite.init.routes import routes_of_table
from leak_suite.result import Outcome, RunResult

ROOT = Path(__file__).resolve().parents[2]
FLASK = """
from flask import Flask, abort

app = Flask(__name__)
kept = []

@app.get("/")
def home(): return "home"

@app.route("/basket", methods=["GET", "POST"])
def basket():
    LEAK
    return "basket"

@app.get("/items/<int:item>")
def item(item): return str(item)

@app.get("/people/<name>")
def person(name): return name

@app.get("/closed")
def closed(): abort(403)
"""
FACTORY = """
from flask import Flask

def create_app(settings=None):
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "home")
    return app
"""
DJANGO = {
    "manage.py": """
import os, sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
""",
    "shop/__init__.py": "",
    "shop/settings.py": """
SECRET_KEY = "tests"
DEBUG = False
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = [".shop.example"]
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
""",
    "shop/urls.py": """
from django.http import HttpResponse
from django.urls import path

kept = []

def home(request):
    LEAK
    return HttpResponse("home")

def order(request):
    return HttpResponse(request.POST.get("item", ""))

def item(request, item):
    raise KeyError(item)

urlpatterns = [path("", home), path("order/", order), path("items/<int:item>/", item)]
""",
    "shop/wsgi.py": """
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
""",
    "shop/asgi.py": """
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_asgi_application()
""",
}
CELERY = """
import os

from celery import Celery

app = Celery("shop", broker=os.environ.get("BROKER", "redis://127.0.0.1:1/0"))
kept = []

@app.task
def nightly():
    LEAK
    return 1

@app.task
def invoice(lines): return lines

@app.task(ignore_result=True)
def log(): ...
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def page(request): return PlainTextResponse("page")

app = Starlette(routes=[Route("/", page), Route("/items/{item:int}", page, methods=["PUT"])])
"""


def project(folder: Path, files: dict[str, str], leak: str = "") -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("LEAK", leak))
    return folder


def code_of(folder: Path) -> str:
    return (folder / "leak_workload.py").read_text()


def calls_of(folder: Path) -> list[str]:
    return re.findall(
        r'^    (?:get\(client, |client.get\()"([^"]*)"', code_of(folder), re.MULTILINE
    )


def test_a_flask_app_gets_its_safe_routes_and_a_server(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    pytest.importorskip("gunicorn")
    started = start(project(tmp_path, {"app.py": FLASK}))
    assert (started.app, started.framework) == ("app:app", "Flask")
    assert calls_of(tmp_path) == ["/", "/basket", "/closed", "/items/1"]
    assert '("POST", "/basket"),  # may change something' in code_of(tmp_path)
    assert '("GET", "/people/{name}"),  # needs a value that only you know' in code_of(tmp_path)
    words = shlex.split(started.command)
    assert words[:3] == ["leak-suite", "run", "--workload"]
    assert words[-6:] == ["gunicorn", "-w", "1", "-b", "127.0.0.1:{port}", "app:app"]


def test_a_flask_app_without_gunicorn_is_served_by_flask_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("flask")
    project(tmp_path, {"app.py": FLASK, "gunicorn/broken.txt": ""})
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'gunicorn' else find(name, *a)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert start(tmp_path).command.endswith("-m flask --app app:app run --port '{port}'")


def test_a_flask_factory_is_called(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    project(tmp_path, {"shop/__init__.py": FACTORY})
    assert [place.name for place in find_apps(tmp_path)] == ["create_app()"]
    started = start(tmp_path)
    assert started.app == "shop:create_app()"
    assert "'shop:create_app()'" in started.command


def test_a_server_starts_in_the_folder_that_the_modules_are_imported_from(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    project(tmp_path, {"web/app.py": "import stock\n" + FLASK, "web/stock.py": ""})
    started = start(tmp_path)
    assert "--cwd web" in started.command
    assert started.command.endswith("app:app")
    assert 'folder=ROOT / "web"' in (tmp_path / "tests" / "test_leaks.py").read_text()


def test_a_django_project_gets_the_headers_that_its_settings_ask_for(tmp_path: Path) -> None:
    pytest.importorskip("django")
    pytest.importorskip("gunicorn")
    started = start(project(tmp_path, DJANGO))
    assert (started.app, started.framework) == ("shop.wsgi:application", "Django")
    assert started.others == ("shop/asgi.py:application (Django)",)
    assert calls_of(tmp_path) == ["/", "/order/", "/items/1/"]
    assert 'HEADERS = {"host": "shop.example", "x-forwarded-proto": "https"}' in code_of(tmp_path)
    assert '("POST", "/order/")' in code_of(tmp_path)
    assert started.command.endswith("-m gunicorn -w 1 -b '127.0.0.1:{port}' shop.wsgi:application")


def test_a_django_project_below_is_started_where_its_manage_py_is(tmp_path: Path) -> None:
    pytest.importorskip("django")
    started = start(project(tmp_path, {f"backend/{name}": text for name, text in DJANGO.items()}))
    assert "--cwd backend" in started.command
    assert started.command.endswith("shop.wsgi:application")


def test_a_celery_app_gets_the_tasks_that_need_no_arguments_on_a_queue_of_its_own(
    tmp_path: Path,
) -> None:
    pytest.importorskip("celery")
    started = start(project(tmp_path, {"tasks.py": CELERY}))
    assert (started.app, started.framework) == ("tasks:app", "Celery")
    text = code_of(tmp_path)
    assert 'app.send_task("tasks.nightly", queue=QUEUE).get(timeout=30)' in text
    assert '("task", "tasks.invoice"),  # needs lines' in text
    assert '("task", "tasks.log"),  # keeps no result that could be waited for' in text
    assert "-Q leak-suite" in started.command
    assert "--env CELERY_RESULT_BACKEND=rpc://" in started.command
    assert any("tasks.nightly is run again and again" in note for note in started.notes)
    assert any("redis://127.0.0.1:1 does not answer" in note for note in started.notes)


def test_a_celery_app_in_another_interpreter_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("celery")
    project(tmp_path, {"tasks.py": CELERY})
    with pytest.raises(ConfigurationError, match="install leak-suite beside the application"):
        start(tmp_path, python=Path(sys.executable))
    assert not (tmp_path / "leak_workload.py").exists()


def test_a_starlette_app_is_described_by_its_routes(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    started = start(project(tmp_path, {"main.py": STARLETTE}))
    assert (started.app, started.framework) == ("main.py:app", "Starlette")
    assert calls_of(tmp_path) == ["/"]
    assert '("PUT", "/items/{item:int}")' in code_of(tmp_path)


def test_the_web_application_comes_before_the_celery_app_beside_it(tmp_path: Path) -> None:
    project(tmp_path, {"app.py": CELERY, "web/site.py": FLASK})
    assert [place.framework for place in find_apps(tmp_path)] == ["Flask", "Celery"]


def test_what_is_no_application_says_what_it_is(tmp_path: Path) -> None:
    project(tmp_path, {"main.py": "app = {}"})
    with pytest.raises(ConfigurationError, match=r"is a builtins\.dict: .*Flask, Django"):
        start(tmp_path, app="main.py:app")


def test_numbers_are_made_up_and_nothing_else() -> None:
    table = [
        ("GET", "/a/{n:int}/{m:float}"),
        ("", "/b"),
        ("GET", "/c/{d:path}"),
        ("WEBSOCKET", "/w"),
    ]
    routes = routes_of_table(table)
    assert (routes.plain, routes.made_up) == (("/b",), ("/a/1/1",))
    assert [(method, path) for method, path, _ in routes.left_out] == [
        *(("GET", "/c/{d:path}"), ("WEBSOCKET", "/w"))
    ]


def cli(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("redis-server") is None and not os.environ.get("LEAK_SUITE_REQUIRE_REDIS"):
        pytest.skip("no redis-server on PATH")
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("framework", ["flask", "django", "celery"])
def test_the_next_command_judges_the_project(
    framework: str, leaky: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip(framework)
    pytest.importorskip("gunicorn")
    files = {"flask": {"app.py": FLASK}, "django": DJANGO, "celery": {"tasks.py": CELERY}}[
        framework
    ]
    folder = project(
        tmp_path / "it", files, 'kept.append("x" * 3000 + str(len(kept)))' if leaky else ""
    )
    if framework == "celery":
        monkeypatch = request.getfixturevalue("monkeypatch")
        monkeypatch.setenv("BROKER", request.getfixturevalue("broker"))
    said = cli(folder, "leak_suite", "init")
    assert said.returncode == 0, said.stderr
    _, *words = shlex.split(said.stdout.split("Next:")[1])
    done = cli(folder, "leak_suite", *words)
    result = RunResult.read(folder / "run.json")
    assert result.outcome is (Outcome.GROWING if leaky else Outcome.STABLE), done.stdout
    assert result.details.not_called
    if leaky:
        sites = [f.sites[0] for f in result.findings if f.outcome is Outcome.GROWING and f.sites]
        lines = [Path(s.file).read_text().splitlines()[s.line - 1] for s in sites]
        assert any("kept.append" in line for line in lines), sites
