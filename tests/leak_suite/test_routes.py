"""Routes that a workload does not call: read of the application, and said in every report."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from leak_suite.render import RENDERERS, failure_message, headline, junit_properties, render
from leak_suite.result import Details, Finding, Outcome, RunResult
from leak_suite.subject import AppSpec, CallableSpec, InProcessSpec
from leak_suite.subject.agent_code import agent_module
from leak_suite.subject.routes import RoutesInUse

ROOT = Path(__file__).resolve().parents[2]
NOT_CALLED = [("POST", "/declared")]
TABLE = [
    ("GET", "/items/new"),
    ("GET", "/items/{item}"),
    ("POST", "/items/{item}"),
    ("GET", "/files/{name:path}"),
    ("", "/admin/{path:path}"),
]

FASTAPI = """
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

inner, router = FastAPI(), APIRouter(prefix="/jobs")

@inner.get("/upload")
def form(): return {}

@inner.post("/upload")
def upload(): return {}

@router.get("/{job}")
def job(job: int): return {}

@inner.websocket("/live")
async def live(socket: WebSocket): ...

inner.include_router(router, prefix="/api")
inner.mount("/static", StaticFiles(directory="."))
inner.mount("/sub", Starlette(routes=[Route("/page", lambda request: None)]))
inner.mount("/other", lambda scope, receive, send: None)
app = CORSMiddleware(inner)
"""
FLASK = """
from flask import Blueprint, Flask

app, shop = Flask(__name__), Blueprint("shop", __name__, url_prefix="/shop", static_folder=".")

@app.route("/order", methods=["GET", "POST"])
def order(): return ""

@shop.get("/items/<int:item>")
def item(item): return ""

@shop.get("/files/<path:name>")
def file(name): return ""

app.register_blueprint(shop)
"""
DJANGO = """
import django
from django.conf import settings

apps = ["contenttypes", "auth", "sessions", "messages", "admin"]
settings.configure(
    SECRET_KEY="x", ROOT_URLCONF=__name__, INSTALLED_APPS=["django.contrib." + a for a in apps]
)
django.setup()

from django.contrib import admin
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.generic import FormView

def page(request): return HttpResponse("")

@csrf_exempt
def order(request): return HttpResponse(request.POST.get("item", ""))

@require_POST
def pay(request): return HttpResponse("")

class Contact(FormView):
    template_name = "contact.html"

urlpatterns = [
    path("", page),
    path("order/<slug:item>/", order),
    path("pay", pay),
    path("contact/", Contact.as_view()),
    path("admin/", admin.site.urls),
    path("help/", include([path("<path:page>", page)])),
    re_path(r"^archive/(?P<year>[0-9]{4})/$", page),
]
app = get_asgi_application()
"""
READ = """
import json, sys
sys.path.insert(0, sys.argv[1])
from leak_suite.agent.routes import routes_of
import program
print(json.dumps([" ".join(route).strip() for route in routes_of(program.app)]))
"""


@pytest.mark.parametrize(
    ("framework", "program", "routes"),
    [
        (
            "fastapi",
            FASTAPI,
            [
                *("GET /upload", "POST /upload", "WEBSOCKET /live", "GET /api/jobs/{job}"),
                *("GET /sub/page", "/other/{path:path}"),
            ],
        ),
        (
            "flask",
            FLASK,
            [
                *("GET /order", "POST /order", "GET /shop/items/{item:int}"),
                "GET /shop/files/{name:path}",
            ],
        ),
        (
            "django",
            DJANGO,
            [
                *("/", "GET /order/{item:slug}/", "POST /order/{item:slug}/", "POST /pay"),
                *("GET /contact/", "POST /contact/", "/admin/{path:path}"),
                *("/help/{page:path}", "/archive/{path:path}"),
            ],
        ),
    ],
)
def test_the_routes_of_an_application_are_read(
    framework: str, program: str, routes: list[str], tmp_path: Path
) -> None:
    pytest.importorskip(framework)
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-c", READ, str(ROOT)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == routes


def test_what_is_no_application_of_a_known_framework_has_no_routes() -> None:
    routes_of = agent_module("routes").routes_of
    assert routes_of(lambda scope, receive, send: None) == []
    assert routes_of(type("Broken", (), {"url_map": 3})()) == []


def in_use(*requests: tuple[str, str, int]) -> RoutesInUse:
    routes = RoutesInUse()
    routes.use_table(TABLE)
    for request in requests:
        routes.note(*request)
    return routes


def test_a_route_is_called_by_a_request_of_its_method_and_path() -> None:
    routes = in_use(("GET", "/items/3", 200), ("HEAD", "/files/a/b.txt", 200))
    assert routes.not_called() == ("GET /items/new", "POST /items/{item}", "/admin/{path:path}")
    assert routes.refused() == ()


def test_the_first_route_that_matches_is_the_one_that_is_called() -> None:
    assert "GET /items/{item}" in in_use(("GET", "/items/new", 200)).not_called()


def test_a_route_that_takes_any_method_is_called_by_any() -> None:
    assert "/admin/{path:path}" not in in_use(("PUT", "/admin/users/3", 200)).not_called()


def test_a_route_that_was_answered_with_errors_only_is_reported_with_the_statuses() -> None:
    posts = [("POST", f"/items/{number}", status) for number, status in enumerate((403, 422, 403))]
    routes = in_use(*posts, ("GET", "/items/1", 404), ("GET", "/items/1", 200))
    assert routes.refused() == ("POST /items/{item} (403, 422)",)
    assert "POST /items/{item}" not in routes.not_called()


def test_requests_of_no_known_route_are_reported_once_whatever_numbers_they_hold() -> None:
    routes = in_use(*[("GET", f"/itmes/{number}", 404) for number in range(5000)])
    assert routes.refused() == ("GET /itmes/{n} (404)",)


def test_without_a_request_only_what_is_declared_counts() -> None:
    routes = in_use()
    routes.declare([("POST", "/upload")])
    assert routes.not_called() == ("POST /upload",)


def test_what_is_declared_and_called_after_all_is_not_reported() -> None:
    routes = in_use(("POST", "/items/1", 201))
    routes.declare([("POST", "/items/{number}"), ("DELETE", "/items/{number}")])
    routes.note("DELETE", "/items/1", 204)
    missed = routes.not_called()
    assert "DELETE /items/{number}" not in missed
    assert not any(route.startswith("POST") for route in missed)


def test_a_route_that_is_declared_and_in_the_table_is_reported_once() -> None:
    routes = in_use(("GET", "/items/1", 200))
    routes.declare([("GET", "/files/{file}"), ("GET", "/items/new")])
    assert routes.not_called().count("GET /items/new") == 1


APP = """
from fastapi import FastAPI

app = FastAPI()

@app.get("/upload")
def form(): return {}

@app.post("/upload")
def upload(): return {}
"""
WORKLOADS = """
NOT_CALLED = [("task", "shop.refund")]

def get(client): client.get("/upload").raise_for_status()
def both(client): client.get("/upload"); client.post("/upload")
def job(): ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app_of_the_test.py").write_text(APP)
    (tmp_path / "workloads_with_routes.py").write_text(WORKLOADS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "routes"),
    [("get", ("POST /upload", "task shop.refund")), ("both", ("task shop.refund",))],
)
def test_the_routes_of_an_app_that_its_workload_does_not_call_are_known(
    name: str, routes: tuple[str, ...], project: Path
) -> None:
    pytest.importorskip("fastapi")
    workload = f"{project / 'workloads_with_routes.py'}:{name}"
    with AppSpec(f"{project / 'app_of_the_test.py'}:app", workload).open() as subject:
        subject.round(1, seconds=5)
        assert subject.routes.not_called() == routes
        assert "routes" not in subject.about.environment


def test_a_callable_says_what_it_does_not_call(project: Path) -> None:
    target = f"{project / 'workloads_with_routes.py'}:job"
    with CallableSpec(target).open() as subject:
        assert subject.routes.not_called() == ("task shop.refund",)


def job() -> None:
    """A workload beside the NOT_CALLED of this module."""


def test_a_function_in_this_process_says_what_it_does_not_call() -> None:
    with InProcessSpec(job, "job").open() as subject:
        assert subject.routes.not_called() == ("POST /declared",)


STABLE = RunResult(
    *("main:app", {}, Outcome.STABLE, 400, 3.2),
    findings=(Finding("heap", "bytes", Outcome.STABLE, rate=0.0),),
    details=Details(not_called=("POST /upload",), refused=("POST /order (403)",)),
)


@pytest.mark.parametrize("form", RENDERERS)
@pytest.mark.parametrize("outcome", Outcome)
def test_every_form_of_report_names_the_routes_that_were_not_called(
    form: str, outcome: Outcome
) -> None:
    if form == "html":
        pytest.importorskip("jinja2")
    text = " ".join(render(replace(STABLE, outcome=outcome), form).split())
    assert "POST /upload" in text
    assert "POST /order (403)" in text
    if form != "json":
        assert "Not called by this workload: POST /upload: this verdict says nothing of it." in text
        assert "Answered with errors only: POST /order (403)." in text


def test_the_headline_of_a_stable_run_counts_the_routes_that_were_left_out() -> None:
    many = replace(STABLE, details=Details(not_called=("POST /a", "POST /b")))
    assert headline(many) == "STABLE: none of 1 metrics grows; 2 routes not called"
    assert headline(STABLE).endswith("; 1 route not called; 1 route answered with errors only")


def test_messages_and_junit_properties_name_them_too() -> None:
    assert "Not called by this workload: POST /upload" in failure_message(STABLE)
    values = [value for name, value in junit_properties(STABLE) if name == "leak_suite.note"]
    assert len(values) == 2


def test_of_very_many_routes_the_first_are_named_and_the_others_counted() -> None:
    routes = tuple(f"POST /{number}" for number in range(40))
    text = render(replace(STABLE, details=Details(not_called=routes)), "markdown")
    assert "POST /7 and 32 more: this verdict says nothing of them." in text
