"""Subjects: what is measured, and how it is started, driven, read and ended."""

from __future__ import annotations

from leak_suite.subject.agents import Life
from leak_suite.subject.base import About, ProcessComposition, Round, Subject, Values, Work
from leak_suite.subject.processes import Coverage, ProcessReading
from leak_suite.subject.specs import (
    AppSpec,
    CallableSpec,
    CommandSpec,
    Extras,
    InProcessSpec,
    PidSpec,
    Spec,
    UrlSpec,
)

__all__ = [
    "About",
    "AppSpec",
    "CallableSpec",
    "CommandSpec",
    "Coverage",
    "Extras",
    "InProcessSpec",
    "Life",
    "PidSpec",
    "ProcessComposition",
    "ProcessReading",
    "Round",
    "Spec",
    "Subject",
    "UrlSpec",
    "Values",
    "Work",
]
