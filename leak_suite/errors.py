"""Everything that can go wrong, in one tree.

    AssertionError
      LeakError              a metric grows or is over its budget: the subject is at fault
    Exception
      LeakSuiteError         the tool could not do its work
        ConfigurationError   an option, a target or a file cannot be used
        SubjectError         the subject could not be started, or cannot be measured
          SubjectDied        its process has ended
          SubjectHung        it does not answer
        RunFileError         a run file is unreadable, or of an unknown version
        LimitUnavailable     a memory limit cannot be set in this way here
    KeyboardInterrupt
      Interrupted            Ctrl-C came while measuring

A leak is a failed assertion; a broken tool is an error, on which every command ends with status 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leak_suite.result import RunResult

__all__ = [
    "ConfigurationError",
    "Interrupted",
    "LeakError",
    "LeakSuiteError",
    "LimitUnavailable",
    "RunFileError",
    "SubjectDied",
    "SubjectError",
    "SubjectHung",
]


class LeakError(AssertionError):
    """A metric grows or is over its budget: the subject is at fault.

    `result` has everything that was found; None where the error has come from another process.
    """

    def __init__(self, message: str = "", result: RunResult | None = None) -> None:
        super().__init__(message)
        self.result = result


class LeakSuiteError(Exception):
    """The tool could not do its work. Every command ends with status 2 on it."""


class ConfigurationError(LeakSuiteError):
    """An option, a target or a file cannot be used; the message says what to give instead."""


class SubjectError(LeakSuiteError):
    """The subject could not be started, or cannot be measured."""


class SubjectDied(SubjectError):
    """The subject's process has ended by itself, or something killed it."""


class SubjectHung(SubjectError):
    """The subject did not answer in time."""


class RunFileError(LeakSuiteError):
    """A run file is unreadable, or of a schema version that this release does not know."""


class LimitUnavailable(LeakSuiteError):
    """A memory limit cannot be set in this way on this machine."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came while measuring; `result` is the verdict on what had been read by then."""

    def __init__(self, result: RunResult) -> None:
        super().__init__("interrupted")
        self.result = result
