"""What an application says of itself, asked for in the interpreter that it runs in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from leak_suite.errors import ConfigurationError

__all__ = ["described"]

_SECONDS = 60.0
_MARK = "leak-suite-description:"
_ROUTES = Path(__file__).parent.parent / "agent" / "routes.py"
# Runs in the application's own interpreter, which need not have leak-suite. `routes_of` comes from
# the agent's file, whose text stands before this one.
_ASK = """
import importlib, importlib.util, inspect, json, os, socket, sys
sys.path.insert(0, os.getcwd())
place, _, name = sys.argv[1].rpartition(":")
if place.endswith(".py"):
    sys.path.insert(0, os.path.dirname(os.path.abspath(place)))
    place = os.path.basename(place)[:-3]
found = importlib.import_module(place)
for part in name.removesuffix("()").split("."):
    found = getattr(found, part)
if name.endswith("()"):
    found = found()

def celery_facts(app):
    app.loader.import_default_modules()
    app.finalize(auto=True)
    tasks = {}
    for name, task in app.tasks.items():
        if not name.startswith("celery."):
            kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
            needed = [
                one.name
                for one in inspect.signature(task.run).parameters.values()
                if one.default is one.empty and one.kind not in kinds
            ]
            tasks[name] = {"needed": needed, "keeps_result": not task.ignore_result}
    broker = app.connection()
    port = broker.port or getattr(broker.transport, "default_port", None)
    reached = True
    if broker.hostname and port:
        try:
            socket.create_connection((broker.hostname, port), 2).close()
        except OSError:
            reached = False
    backend = app.conf.result_backend or ""
    return {
        "tasks": tasks,
        "broker": f"{broker.transport_cls}://{broker.hostname}:{port}",  # without its password
        "broker_reached": reached,
        "keeps_results": not backend.startswith("disabled") and backend != "",
    }

def django_facts():
    from django.conf import settings
    secure = settings.SECURE_PROXY_SSL_HEADER if settings.SECURE_SSL_REDIRECT else None
    return {
        "routes": list(django_routes()),
        "debug": settings.DEBUG,
        "hosts": list(settings.ALLOWED_HOSTS),
        "https_only": settings.SECURE_SSL_REDIRECT,
        "https_header": list(secure) if secure else None,
    }

kinds = {kind.__module__.partition(".")[0] for kind in type(found).__mro__}
facts = {"servers": [n for n in ("gunicorn", "uvicorn") if importlib.util.find_spec(n)]}
if "celery" in kinds:
    facts.update(framework="Celery", **celery_facts(found))
elif hasattr(found, "openapi"):
    facts.update(framework="FastAPI", openapi=found.openapi())
elif "django" in kinds:
    wsgi = hasattr(found, "get_response") and "wsgi" in type(found).__module__
    facts.update(framework="Django", wsgi=wsgi, **django_facts())
elif "flask" in kinds:
    facts.update(framework="Flask", routes=routes_of(found))
elif "starlette" in kinds:
    facts.update(framework="Starlette", routes=routes_of(found))
else:
    kind = type(found)
    facts.update(framework="", type=kind.__module__ + "." + kind.__qualname__)
print("\\n" + sys.argv[2] + json.dumps(facts))
"""


def described(app: str, root: Path, python: Path | None = None) -> dict[str, Any]:
    """What `app` says of itself in a fresh interpreter that is started in `root`.

    "framework" is there always, and "servers", the packages that can serve it. Of FastAPI there is
    "openapi", of Flask, Django and Starlette "routes" as (method, path), of Celery "tasks".

    Raises:
        ConfigurationError: it cannot be loaded, or is of no framework that is known.
    """
    # The interpreter starts in `root`, and a virtual environment's link must not be resolved.
    interpreter = Path.cwd() / (python or sys.executable)
    code = f"{_ROUTES.read_text(encoding='utf-8')}\n{_ASK}"
    command = [str(interpreter), "-c", code, app, _MARK]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{app} cannot be loaded: {error}") from error
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            description: dict[str, Any] = json.loads(line[len(_MARK) :])
            if description["framework"]:
                return description
            raise ConfigurationError(
                f"{app} is a {description['type']}: a first workload can be written for FastAPI, "
                "Starlette, Flask, Django and Celery"
            )
    message = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
    raise ConfigurationError(
        f"{app} cannot be loaded: {message}. Run this where the application starts, with its "
        "interpreter as --python and its settings in the environment"
    )
