"""The requests that are safe to repeat, of what an application says of its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Routes", "routes_of_openapi", "routes_of_table"]

_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_CHANGES = "may change something"
_UNKNOWN = "needs a value that only you know"


@dataclass(frozen=True)
class Routes:
    """Paths to ask for; and what was left out, as method, path and why."""

    plain: tuple[str, ...]
    made_up: tuple[str, ...]
    left_out: tuple[tuple[str, str, str], ...]


def routes_of_table(table: Iterable[tuple[str, str]]) -> Routes:
    """GET routes only, of pairs as the agent's `routes_of` gives them; numbers are made up."""
    plain, made_up, left_out = [], [], []
    for method, path in table:
        if method not in ("", "GET"):
            why = _CHANGES if method in _CHANGING else "is no request"
            left_out.append((method, path, why))
            continue
        if not method and path.endswith("{path:path}"):
            left_out.append((method, path, "an application of its own"))
            continue
        filled = re.sub(r"{[^{}]*:(?:int|integer|float)}", "1", path)
        if "{" in filled:
            left_out.append((method, path, _UNKNOWN))
        elif filled == path:
            plain.append(path)
        else:
            made_up.append(filled)
    return Routes(tuple(plain), tuple(made_up), tuple(left_out))


def routes_of_openapi(description: Mapping[str, Any]) -> Routes:
    """GET routes only. Parameters get a value where the description makes one plain."""
    plain, made_up, left_out = [], [], []
    for path, operations in sorted(description.get("paths", {}).items()):
        left_out += [
            (method.upper(), path, _CHANGES) for method in operations if method.upper() in _CHANGING
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
        elif operation.get("security", description.get("security")):
            left_out.append(("GET", path, "needs a login"))
        elif not required:
            plain.append(path)
        elif any(parameter["in"] not in ("path", "query") for parameter in required):
            left_out.append(("GET", path, "needs a header or a cookie"))
        elif (filled := _filled(path, required)) is None:
            left_out.append(("GET", path, _UNKNOWN))
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
