"""The requests that are safe to repeat, from an application's own OpenAPI description."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leak_suite.errors import ConfigurationError

__all__ = ["Routes", "described", "safe_routes"]

_SECONDS = 60.0
_CHANGING = ("post", "put", "patch", "delete")
_MARK = "leak-suite-openapi:"
# Runs in the application's own interpreter, which need not have leak-suite.
_ASK = """
import importlib, json, os, sys
sys.path.insert(0, os.getcwd())
place, _, name = sys.argv[1].rpartition(":")
if place.endswith(".py"):
    sys.path.insert(0, os.path.dirname(os.path.abspath(place)))
    place = os.path.basename(place)[:-3]
found = importlib.import_module(place)
for part in name.split("."):
    found = getattr(found, part)
print("\\n" + sys.argv[2] + json.dumps(found.openapi()))
"""


@dataclass(frozen=True)
class Routes:
    """Paths to ask for; and what was left out, as method, path and why."""

    plain: tuple[str, ...]
    made_up: tuple[str, ...]
    left_out: tuple[tuple[str, str, str], ...]


def described(app: str, root: Path, python: Path | None = None) -> dict[str, Any]:
    """The OpenAPI description of `app`, asked for in a fresh interpreter started in `root`."""
    command = [str(python or sys.executable), "-c", _ASK, app, _MARK]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{app} cannot be loaded: {error}") from error
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            description: dict[str, Any] = json.loads(line[len(_MARK) :])
            return description
    message = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
    raise ConfigurationError(
        f"{app} cannot be loaded: {message}. Run this where the application starts, with its "
        "interpreter as --python and its settings in the environment"
    )


def safe_routes(description: Mapping[str, Any]) -> Routes:
    """GET routes only. Parameters get a value where the description makes one plain."""
    plain, made_up, left_out = [], [], []
    for path, operations in sorted(description.get("paths", {}).items()):
        left_out += [
            (method.upper(), path, "may change something")
            for method in operations
            if method in _CHANGING
        ]
        operation = operations.get("get")
        if operation is None:
            continue
        required = [
            parameter
            for parameter in (*operations.get("parameters", ()), *operation.get("parameters", ()))
            if parameter.get("required")
        ]
        if _is_stream(operation):
            left_out.append(("GET", path, "an event stream may never end"))
        elif not required:
            plain.append(path)
        elif any(parameter["in"] not in ("path", "query") for parameter in required):
            left_out.append(("GET", path, "needs a header or a cookie"))
        elif (filled := _filled(path, required)) is None:
            left_out.append(("GET", path, "needs a value that only you know"))
        else:
            made_up.append(filled)
    return Routes(tuple(plain), tuple(made_up), tuple(left_out))


def _is_stream(operation: Mapping[str, Any]) -> bool:
    answers = operation.get("responses", {}).values()
    return any("text/event-stream" in answer.get("content", {}) for answer in answers)


def _filled(path: str, parameters: list[dict[str, Any]]) -> str | None:
    query = []
    for parameter in parameters:
        value = _value(parameter)
        if value is None:
            return None
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", value)
        else:
            query.append(f"{parameter['name']}={value}")
    return path + ("?" + "&".join(query) if query else "")


def _value(parameter: Mapping[str, Any]) -> str | None:
    schema = parameter.get("schema", {})
    known = [parameter.get("example"), schema.get("example"), *schema.get("examples", ())]
    known += [schema.get("default"), *schema.get("enum", ())]
    for value in known:
        if isinstance(value, (str, int, float)):
            return str(value)
    if schema.get("type") in ("integer", "number"):
        return str(max(1, int(schema.get("minimum", 1))))
    return "true" if schema.get("type") == "boolean" else None
