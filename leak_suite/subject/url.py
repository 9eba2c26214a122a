"""A service that publishes numbers of itself in JSON; nothing else can be seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.metrics import METRICS, QuickSample, bytes_per_unit
from leak_suite.subject.base import About, Values
from leak_suite.subject.watched import WatchedSubject

if TYPE_CHECKING:
    from leak_suite.subject.specs import UrlSpec

__all__ = ["UrlSubject", "number_at"]


class UrlSubject(WatchedSubject):
    """Reads the numbers that `json_path` names, once a round."""

    def __init__(self, spec: UrlSpec) -> None:
        super().__init__(spec.workload, spec.request_seconds)
        self._spec = spec
        self._paths = [path.strip() for path in spec.json_path.split(",") if path.strip()]
        if not self._paths:
            raise ConfigurationError("a URL needs the path of a number in its JSON")
        self._client = httpx.Client(timeout=10.0)

    def __enter__(self) -> UrlSubject:
        self.about = About({"seen": "a health endpoint"}, {}, {}, tuple(METRICS))
        self.read()
        if self._target is not None:
            url = httpx.URL(self._spec.url)
            self._workload = self._make_workload(str(url.copy_with(raw_path=b"/")))
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._client.close()

    def read(self) -> Values:
        """See `Subject.read`."""
        try:
            answer = self._client.get(self._spec.url)
            answer.raise_for_status()
            data = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise SubjectError(f"{self._spec.url} could not be read: {error}") from error
        return {f"counter:{path}": _scaled(path, number_at(data, path)) for path in self._paths}

    def _quick_sample(self) -> QuickSample:
        return QuickSample(0, 0, 0, 0, 0)


def number_at(data: Any, path: str) -> float:
    """The number at a path like "memory.rss_bytes" or "pools.0.size" ("$." before it is fine)."""
    found = data
    for part in path.removeprefix("$").removeprefix(".").split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, TypeError, ValueError):  # noqa: PERF203
            raise ConfigurationError(f"the JSON has nothing at {path!r}: no {part!r}") from None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ConfigurationError(f"the JSON has no number at {path!r} but {found!r}")
    return float(found)


def _scaled(path: str, value: float) -> float:
    return value * (bytes_per_unit(path) or 1.0)
