"""The routes of a web application, as pairs of a method and a path like `/items/{item:int}`.

FastAPI and Starlette, Flask and Quart, and Django are read, also behind middleware that keeps the
application as `app`. Of others, and where reading fails, there are none.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Iterator
    from typing import Any

__all__ = ["django_routes", "flask_routes", "routes_of", "starlette_routes"]

ANY = ""
"""The method of a route that does not say which it takes."""
_AUTOMATIC = ("HEAD", "OPTIONS")
_LAYERS = 20


def routes_of(application: Any) -> list[tuple[str, str]]:
    """(method, path) of each route, in the order that they are matched in.

    What frameworks add by themselves (pages of documentation, static files) is left out.
    """
    try:
        for _ in range(_LAYERS):
            if hasattr(application, "url_map"):
                return list(flask_routes(application))
            if isinstance(getattr(application, "routes", None), (list, tuple)):
                return list(starlette_routes(application.routes))
            if type(application).__module__.startswith("django."):
                return list(django_routes())
            inner = getattr(application, "app", None)
            application = getattr(application, "wsgi_application", None) if inner is None else inner
            if application is None:
                break
    except Exception:  # a framework of another version; a run needs no routes
        return []
    return []


def starlette_routes(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Those of a FastAPI or Starlette application, mounted ones included."""
    for route in routes:
        endpoint = getattr(route, "endpoint", None)
        path = prefix + str(getattr(route, "path", ""))
        if str(getattr(endpoint, "__module__", "")).startswith("fastapi."):
            continue  # its own documentation
        included = getattr(route, "original_router", None)  # FastAPI's, since it does not copy them
        below = getattr(route, "routes", None)
        if included is not None:
            yield from starlette_routes(included.routes, prefix + route.include_context.prefix)
        elif below:
            yield from starlette_routes(below, path)
        elif type(route).__name__ == "Mount":
            if type(getattr(route, "app", None)).__name__ != "StaticFiles":
                yield ANY, path + "/{path:path}"
        elif "WebSocket" in type(route).__name__:
            yield "WEBSOCKET", path
        else:
            for method in _named(getattr(route, "methods", None) or ()):
                yield method, path


def flask_routes(application: Any) -> Iterator[tuple[str, str]]:
    """Those of a Flask or Quart application, of its blueprints too."""
    import re

    def plain(found: Any) -> str:
        kind, name = (found[1] or "").partition("(")[0], found[2]
        return f"{{{name}:{kind}}}" if kind else f"{{{name}}}"

    for rule in application.url_map.iter_rules():
        if rule.endpoint.rpartition(".")[2] == "static":
            continue
        path = re.sub(r"<(?:([^<>:]*):)?(\w+)>", plain, rule.rule)
        for method in _named(rule.methods or ()):
            yield method, path


def django_routes() -> Iterator[tuple[str, str]]:
    """Those of the Django project whose settings are in use; of Django's own apps one for all."""
    from django.urls import get_resolver

    yield from _django_below(get_resolver().url_patterns, "/")


def _django_below(patterns: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        path = prefix + _django_path(pattern.pattern)
        below = getattr(pattern, "url_patterns", None)
        if below is None:
            for method in _django_methods(pattern.callback):
                yield method, path
        elif all(_is_django(view) for view in _views(below)):
            yield ANY, path + "{path:path}"
        else:
            yield from _django_below(below, path)


def _django_path(pattern: Any) -> str:
    """The path of `path()`; of a regular expression what comes before its first group."""
    import re

    text = str(pattern)
    if not hasattr(pattern, "_route"):
        plain = re.match(r"\^?([\w/.-]*)(.*?)\$?$", text, re.DOTALL)
        assert plain is not None
        return f"{plain[1]}{{path:path}}" if plain[2] else str(plain[1])

    def braces(found: Any) -> str:
        return f"{{{found[2]}:{found[1]}}}" if found[1] else f"{{{found[2]}}}"

    return re.sub(r"<(?:(\w+):)?(\w+)>", braces, text)


def _views(patterns: Any) -> Iterator[Any]:
    for pattern in patterns:
        below = getattr(pattern, "url_patterns", None)
        if below is None:
            yield pattern.callback
        else:
            yield from _views(below)


def _is_django(view: Any) -> bool:
    return str(getattr(view, "__module__", "")).startswith("django.")


def _django_methods(view: Any) -> list[str]:
    """The methods that a view takes: as its class or decorator says, or its code mentions."""
    actions = getattr(view, "actions", None)  # a view set of the REST framework
    if isinstance(actions, dict):
        return _named(name.upper() for name in actions)
    kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if kind is not None:
        names = [name for name in kind.http_method_names if hasattr(kind, name)]
        # A form view takes PUT as another word for POST, whether the project uses it or not.
        return _named(n.upper() for n in names if n != "put" or not _is_django(kind.put))
    while view is not None:
        code = getattr(view, "__code__", None)
        outer = getattr(code, "co_freevars", ())
        if "request_method_list" in outer:  # of `require_http_methods`
            cell = view.__closure__[outer.index("request_method_list")]
            return _named(cell.cell_contents)
        inner = getattr(view, "__wrapped__", None)
        if inner is None and code is not None:
            mentioned = {*code.co_names, *filter(_is_text, code.co_consts)}
            if mentioned & {"POST", "FILES"}:
                return ["GET", "POST"]
        view = inner
    return [ANY]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _named(methods: Any) -> list[str]:
    return sorted({str(method) for method in methods}.difference(_AUTOMATIC))
