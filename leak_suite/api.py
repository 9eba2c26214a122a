"""The function that a program calls to judge its own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leak_suite.options import Options, resolve

if TYPE_CHECKING:
    from leak_suite.checks import RunProgress
    from leak_suite.result import RunResult
    from leak_suite.subject import Spec

__all__ = ["check"]


def check(
    subject: str | Callable[[], Any] | Spec,
    options: Options | None = None,
    *,
    on_progress: Callable[[RunProgress], None] | None = None,
) -> RunResult:
    """Repeat a workload until it can be said whether memory, handles or threads grow.

    `subject` is a target as on the command line (`package.module:callable` or
    `path/file.py:callable`), which is run in a fresh interpreter; or a function without arguments,
    sync or async, which is repeated in this very process; or one of the specs of
    `leak_suite.subject`, for an ASGI app, a command, a pid or a URL. Without `options` those of the
    nearest pyproject.toml count. `on_progress` is called after every round.

    The result's `outcome` says whether something grows; a leak raises nothing.

    Raises:
        ConfigurationError: an option or a target cannot be used.
        SubjectError: the subject cannot be started. One that dies or hangs later is a result.
        Interrupted: Ctrl-C came; `.result` is the verdict on what had been read by then.
    """
    from leak_suite.checks import check as check_spec
    from leak_suite.subject import CallableSpec, InProcessSpec

    name = subject if isinstance(subject, str) else ""
    chosen = resolve({}, Path.cwd(), workload=name) if options is None else options
    spec: Spec
    if isinstance(subject, str):
        spec = CallableSpec(subject, chosen.python)
    elif callable(subject):
        spec = InProcessSpec(subject, getattr(subject, "__qualname__", repr(subject)))
    else:
        spec = subject
    return check_spec(spec, chosen, on_progress=on_progress)
