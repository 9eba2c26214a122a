"""From a spec to a subject that can be entered; only what that kind needs is imported for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from leak_suite.subject.base import Subject
from leak_suite.subject.in_process import InProcessSubject
from leak_suite.subject.inside import CallableSubject
from leak_suite.subject.specs import (
    AppSpec,
    CallableSpec,
    CommandSpec,
    InProcessSpec,
    PidSpec,
    Spec,
    Trace,
)

__all__ = ["open_subject"]

_NONE: Mapping[str, str] = MappingProxyType({})


def open_subject(
    spec: Spec,
    *,
    tracked: Iterable[str] = (),
    counters: Mapping[str, str] = _NONE,
    trace: Trace | None = None,
) -> Subject:
    """The subject of `spec`; enter it to start it.

    `tracked` classes ("module:Class"), `counters` ({name: "module:callable"}) and `trace` need
    the agent, so a command, a pid and a URL cannot have them.
    """
    if isinstance(spec, CallableSpec):
        return CallableSubject(spec, tracked=tracked, counters=counters, trace=trace)
    if isinstance(spec, AppSpec):
        from leak_suite.subject.app import AppSubject

        return AppSubject(spec, tracked=tracked, counters=counters, trace=trace)
    if isinstance(spec, InProcessSpec):
        return InProcessSubject(spec, tracked=tracked, counters=counters)
    # What looks from outside also drives: half a second of imports that a callable can do without.
    from leak_suite.subject.outside import CommandSubject, PidSubject, UrlSubject

    if isinstance(spec, CommandSpec):
        return CommandSubject(spec)
    if isinstance(spec, PidSpec):
        return PidSubject(spec)
    return UrlSubject(spec)
