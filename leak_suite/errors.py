"""What can go wrong: a leak is a failed assertion, a broken tool is an error."""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "LeakError",
    "LeakSuiteError",
    "LimitUnavailable",
    "RunFileError",
    "SubjectError",
]


class LeakError(AssertionError):
    """A metric grows or stands over its budget: the subject is at fault."""


class LeakSuiteError(Exception):
    """The tool could not do its work. Every command ends with status 2 on it."""


class ConfigurationError(LeakSuiteError):
    """An option, a target or a file cannot be used; the message says what to give instead."""


class SubjectError(LeakSuiteError):
    """The subject could not be started, or died before it could be judged."""


class RunFileError(LeakSuiteError):
    """A run file is unreadable, or of a schema version that this release does not know."""


class LimitUnavailable(LeakSuiteError):
    """A backend cannot enforce a memory limit here; the message says why."""
