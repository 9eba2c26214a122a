"""Which of a service's routes the workload's requests came to, and which they did not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["Route", "RoutesInUse"]

Route = tuple[str, str]
"""A method (or another kind of call; "" where any counts) and a path like `/items/{item}`."""

_MOST_KNOWN = 2000
"""Different requests, and different routes, that are remembered."""
_FIRST_ERROR = 400
_VARIABLE = re.compile(r"/(?:\d+|[0-9a-fA-F-]{16,})(?=/|$)")
"""Parts of a path that are probably numbers of things: 17, or a UUID."""


class RoutesInUse:
    """Takes note of answered requests; lists which routes were not called, or refused always.

    The service's own table of routes counts only where the workload's requests were seen at all:
    a workload that takes no client makes its own.
    """

    def __init__(self) -> None:
        self._declared: tuple[Route, ...] = ()
        self._table: tuple[Route, ...] = ()
        self._statuses: dict[Route, set[int]] = {}
        self._known: set[tuple[str, str, int]] = set()

    def declare(self, routes: Iterable[Route]) -> None:
        """Take the routes that the workload itself says it does not call."""
        self._declared = tuple(routes)

    def use_table(self, routes: Iterable[Route]) -> None:
        """Take the service's routes, in the order that it matches them in."""
        self._table = tuple((method, path) for method, path in routes)

    def note(self, method: str, path: str, status: int) -> None:
        """A request was answered with `status`."""
        request = method, path, status
        if request in self._known:
            return
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(request)
        method = "GET" if method == "HEAD" else method
        routes = (*self._table, *self._declared)
        route = next((one for one in routes if _matches(one, method, path)), None)
        route = route or (method, _VARIABLE.sub("/{n}", path))
        if route in self._statuses or len(self._statuses) < _MOST_KNOWN:
            self._statuses.setdefault(route, set()).add(status)

    def not_called(self) -> tuple[str, ...]:
        """The routes that no request came to, each as "POST /upload"."""
        table = self._table if self._statuses else ()
        answered = {_shape(route) for route in self._statuses}
        routes = {_shape(route): route for route in reversed((*table, *self._declared))}
        return tuple(_text(routes[one]) for one in reversed(routes) if one not in answered)

    def refused(self) -> tuple[str, ...]:
        """The routes that were answered with errors only, each as "POST /upload (403)"."""
        return tuple(
            f"{_text(route)} ({', '.join(map(str, sorted(statuses)))})"
            for route, statuses in self._statuses.items()
            if min(statuses) >= _FIRST_ERROR
        )


def _text(route: Route) -> str:
    return " ".join(part for part in route if part)


def _shape(route: Route) -> str:
    """What two ways to write one route have in common: their parameters may have other names."""
    return f"{route[0]} {re.sub(r'{[^{}]*}', '{}', route[1])}"


def _matches(route: Route, method: str, path: str) -> bool:
    return route[0] in ("", method) and _pattern(route[1]).fullmatch(path) is not None


@lru_cache(maxsize=4096)
def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"({[^{}]*})", path)
    return re.compile("".join(_part(part) for part in parts))


def _part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    return ".*" if part.endswith(":path}") else "[^/]+"
