"""What is written for an application of each framework, and the command that runs it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leak_suite.errors import ConfigurationError
from leak_suite.init.routes import Routes, routes_of_openapi, routes_of_table
from leak_suite.init.texts import (
    WORKLOAD,
    app_test,
    command_test,
    request_workload,
    task_workload,
)
from leak_suite.subject.specs import AppSpec, CommandSpec, Spec

__all__ = ["Project", "StarterFiles", "plan_for"]


_WORKER_OPTIONS = ("-c", "1", "-Q", "leak-suite", "--loglevel", "WARNING")


@dataclass(frozen=True)
class Project:
    """An application that was found and loaded.

    `app` is its name as the framework's server takes it, "package.module:app", in `folder`, which
    is relative to `root`, where the files are written. `facts` is what `described` found.
    """

    app: str
    root: Path
    folder: Path
    facts: Mapping[str, Any]
    python: Path | None = None

    @property
    def framework(self) -> str:
        """Its framework's name."""
        return str(self.facts["framework"])


@dataclass(frozen=True)
class StarterFiles:
    """The two files, as text, and what they run."""

    workload: str
    test: str
    spec: Spec
    notes: tuple[str, ...] = ()


def plan_for(project: Project) -> StarterFiles:
    """What is to be written for `project`.

    Raises:
        ConfigurationError: there is nothing that could serve or drive it.
    """
    return _PLANS[project.framework](project)


def _asgi(project: Project) -> StarterFiles:
    """FastAPI and Starlette: in the agent's own uvicorn."""
    facts = project.facts
    if "openapi" in facts:
        routes = routes_of_openapi(facts["openapi"])
    else:
        routes = routes_of_table(facts["routes"])
    notes = _notes_on(routes)
    if "uvicorn" not in facts["servers"]:
        notes += ("uvicorn is missing where the application runs, and is needed to run it",)
    return StarterFiles(
        request_workload(project.app, routes),
        app_test(project.app),
        AppSpec(project.app, f"{WORKLOAD}:visit", project.python),
        notes,
    )


def _flask(project: Project) -> StarterFiles:
    routes = routes_of_table(project.facts["routes"])
    server = _gunicorn(project)
    if server is None:
        server = ("-m", "flask", "--app", project.app, "run", "--port", "{port}")
    return _served(project, routes, server)


def _django(project: Project) -> StarterFiles:
    facts = project.facts
    routes = routes_of_table(facts["routes"])
    if facts["wsgi"]:
        server = _gunicorn(project)
    elif "uvicorn" in facts["servers"]:
        server = ("-m", "uvicorn", project.app, "--port", "{port}")
    else:
        server = None
    if server is None and (project.root / project.folder / "manage.py").exists():
        server = ("manage.py", "runserver", "--noreload", "127.0.0.1:{port}")
    if server is None:
        raise ConfigurationError(
            f"nothing can serve {project.app}: there is no manage.py beside it, "
            "and gunicorn (or uvicorn, for ASGI) is not installed"
        )
    notes = []
    if facts["debug"]:
        notes.append(
            "DEBUG is on: Django then keeps the SQL of a request; judge with the settings that "
            "you deploy"
        )
    if facts["https_only"] and not facts["https_header"]:
        notes.append("SECURE_SSL_REDIRECT is on: every request is sent on to https, and not served")
    return _served(project, routes, server, _django_headers(facts), notes)


def _django_headers(facts: Mapping[str, Any]) -> dict[str, str]:
    """What a request must say of itself so that the settings let it in."""
    headers = {}
    hosts = facts["hosts"]
    if hosts and not {"*", "127.0.0.1"}.intersection(hosts):
        headers["host"] = "localhost" if "localhost" in hosts else hosts[0].removeprefix(".")
    if facts["https_header"]:
        name, value = facts["https_header"]
        headers[name.removeprefix("HTTP_").replace("_", "-").lower()] = value
    return headers


def _gunicorn(project: Project) -> tuple[str, ...] | None:
    if "gunicorn" not in project.facts["servers"]:
        return None
    return ("-m", "gunicorn", "-w", "1", "-b", "127.0.0.1:{port}", project.app)


def _served(
    project: Project,
    routes: Routes,
    server: tuple[str, ...],
    headers: Mapping[str, str] | None = None,
    notes: list[str] | None = None,
) -> StarterFiles:
    """An application that a command serves."""
    workload = f"{WORKLOAD}:visit"
    return StarterFiles(
        request_workload(project.app, routes, headers or {}),
        command_test(server, workload, project.folder, project.python),
        _command(project, server, workload),
        (*_notes_on(routes), *(notes or ())),
    )


def _celery(project: Project) -> StarterFiles:
    facts = project.facts
    if project.python is not None:
        raise ConfigurationError(
            "the workload of a Celery application sends its tasks from leak-suite's own "
            "interpreter: install leak-suite beside the application, and leave --python out"
        )
    if project.folder != Path():
        raise ConfigurationError(f"start this in {project.folder}, where {project.app} is imported")
    called = [name for name, task in facts["tasks"].items() if _is_callable(task)]
    left_out = [
        (name, _why_not(task)) for name, task in facts["tasks"].items() if not _is_callable(task)
    ]
    environment = () if facts["keeps_results"] else (("CELERY_RESULT_BACKEND", "rpc://"),)
    worker = ("-m", "celery", "-A", project.app, "worker", *_WORKER_OPTIONS)
    workload = f"{WORKLOAD}:run_tasks"
    notes = [f"{name} is run again and again: take it out if it must not be" for name in called]
    if not called:
        notes.append(f"no task could be called: see {WORKLOAD}")
    if not facts["broker_reached"]:
        notes.append(f"the broker {facts['broker']} does not answer: start it before you run this")
    return StarterFiles(
        task_workload(project.app, sorted(called), sorted(left_out), dict(environment)),
        command_test(worker, workload, project.folder, None, dict(environment)),
        _command(project, worker, workload, environment),
        tuple(notes),
    )


def _is_callable(task: Mapping[str, Any]) -> bool:
    return not task["needed"] and bool(task["keeps_result"])


def _why_not(task: Mapping[str, Any]) -> str:
    if task["needed"]:
        return f"needs {', '.join(task['needed'])}"
    return "keeps no result that could be waited for"


_PLANS: Mapping[str, Callable[[Project], StarterFiles]] = {
    "FastAPI": _asgi,
    "Starlette": _asgi,
    "Flask": _flask,
    "Django": _django,
    "Celery": _celery,
}


def _command(
    project: Project,
    words: tuple[str, ...],
    workload: str,
    environment: tuple[tuple[str, str], ...] = (),
) -> CommandSpec:
    folder = None if project.folder == Path() else project.folder
    argv = (_interpreter(project.python), *words)
    return CommandSpec(argv, workload, environment=environment, folder=folder)


def _interpreter(python: Path | None) -> str:
    """How a shell names it: "python" where that is the very one."""
    path = str(Path.cwd() / (python or sys.executable))  # no link of an environment is resolved
    found = shutil.which("python")
    return "python" if found is not None and Path(found).parent == Path(path).parent else path


def _notes_on(routes: Routes) -> tuple[str, ...]:
    if routes.plain or routes.made_up:
        return ()
    return (f"no route could be called: see {WORKLOAD}",)
