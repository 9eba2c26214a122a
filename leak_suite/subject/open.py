"""From a spec to a subject that can be entered; only what that kind needs is imported for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from leak_suite.subject.base import Subject
from leak_suite.subject.in_process import InProcessSubject
from leak_suite.subject.inside import CallableSubject
from leak_suite.subject.process import AgentProcess
from leak_suite.subject.specs import (
    AppSpec,
    CallableSpec,
    CommandSpec,
    InProcessSpec,
    PidSpec,
    Spec,
)

__all__ = ["open_subject"]

_NONE: Mapping[str, str] = MappingProxyType({})


def open_subject(
    spec: Spec,
    *,
    tracked: Iterable[str] = (),
    counters: Mapping[str, str] = _NONE,
    trace: Mapping[str, Any] | None = None,
) -> Subject:
    """The subject of `spec`; enter it to start it.

    `tracked` classes ("module:Class"), `counters` ({name: "module:callable"}) and `trace` need
    the agent, so a command, a pid and a URL cannot have them.
    """
    counted = [f"{name}={place}" for name, place in counters.items()]

    def start(
        keys: Mapping[str, str], python: Path | None, environment: Mapping[str, str]
    ) -> AgentProcess:
        return AgentProcess(
            keys, python, tracked=tracked, counters=counted, trace=trace, environment=environment
        )

    if isinstance(spec, CallableSpec):
        return CallableSubject(partial(start, {"target": spec.target}, spec.python))
    if isinstance(spec, AppSpec):
        from leak_suite.subject.app import AppSubject

        keys = {"app": spec.app, "port": "0"}
        return AppSubject(partial(start, keys, spec.python), spec.workload, spec.request_seconds)
    if isinstance(spec, InProcessSpec):
        return InProcessSubject(spec, tracked, counted)
    # What is driven from here imports httpx: half a second that a callable can do without.
    if isinstance(spec, CommandSpec):
        from leak_suite.subject.command import CommandSubject

        return CommandSubject(spec)
    if isinstance(spec, PidSpec):
        from leak_suite.subject.pid import PidSubject

        return PidSubject(spec)
    from leak_suite.subject.url import UrlSubject

    return UrlSubject(spec)
