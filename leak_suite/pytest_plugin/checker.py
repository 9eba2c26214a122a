"""Makes the leak checks of one test: repeats it, keeps the result, and fails the test."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from leak_suite.errors import ConfigurationError, LeakError, LeakSuiteError
from leak_suite.options import Layer, Options
from leak_suite.pytest_plugin.children import CHILDREN, TestedSpec
from leak_suite.pytest_plugin.isolated import write_target
from leak_suite.pytest_plugin.options import CHECKS, SHORT_FAILURE, resolve_options
from leak_suite.pytest_plugin.plain_call import plain_call
from leak_suite.pytest_plugin.records import without_records
from leak_suite.pytest_plugin.unittest_case import is_unittest
from leak_suite.render import cause_lines, failure_message, headline, junit_properties
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import CallableSpec, Spec

__all__ = ["LeakChecker"]


class LeakChecker:
    """Makes the checks of one test and keeps what they found for its report."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._checks = item.stash.setdefault(CHECKS, [])

    def __call__(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> RunResult:
        """Repeat `function(*arguments)` until its growth can be judged, and return the result.

        Raises:
            LeakError: something grows or is over its budget; `.result` has the whole result.
            LeakSuiteError: it could not be judged, unless the option inconclusive is "warn".
        """
        __tracebackhide__ = True
        return self._check(partial(function, *arguments), Layer("leak_check()", options))

    def wrap(self, test: Callable[..., Any]) -> Callable[..., None]:
        """A function that takes the test's arguments and checks the test instead of calling it."""

        def checked(**arguments: Any) -> None:
            __tracebackhide__ = True
            self._check(partial(test, **arguments))

        return checked

    def _check(self, call: partial[Any], *layers: Layer) -> RunResult:
        __tracebackhide__ = True
        try:
            options = resolve_options(self._item, *layers)
            result = (self._run_isolated if options.isolate else self._run_here)(call, options)
        except LeakSuiteError as error:
            raise self._without_traceback(error) from None
        self._keep(result, options)
        self._raise_for(result, options)
        return result

    def _run_here(self, call: partial[Any], options: Options) -> RunResult:
        __tracebackhide__ = True
        with plain_call(call, self._item) as once:
            once()  # as any test would be: it may skip, or fail with pytest's own message
            with without_records(self._item) as wrap:
                children = self._item.config.stash.get(CHILDREN, None)
                return self._judge(TestedSpec(wrap(once), self._item.nodeid, children), options)

    def _run_isolated(self, call: partial[Any], options: Options) -> RunResult:
        if is_unittest(self._item):
            raise ConfigurationError(
                "isolate: a unittest.TestCase is set up in pytest's process only; leave isolate out"
            )
        with TemporaryDirectory(prefix="leak-suite-") as folder:
            target = write_target(call, Path(folder), self._item)
            return self._judge(CallableSpec(target, options.python), options)

    def _judge(self, spec: Spec, options: Options) -> RunResult:
        hook = self._item.config.hook
        result: RunResult = hook.pytest_leak_check(spec=spec, options=options)
        details = replace(result.details, command=("pytest", self._item.nodeid))
        return replace(result, details=details)

    def _keep(self, result: RunResult, options: Options) -> None:
        self._checks.append({"outcome": result.outcome.value, "causes": list(cause_lines(result))})
        self._item.user_properties += junit_properties(result)
        if options.output is not None:
            name = re.sub(r"[^\w.\[\]-]+", "_", self._item.nodeid)
            count = f"-{len(self._checks)}" if len(self._checks) > 1 else ""
            result.write(self._item.config.rootpath / options.output / f"{name}{count}.json")

    def _raise_for(self, result: RunResult, options: Options) -> None:
        __tracebackhide__ = True
        if result.outcome is Outcome.STABLE:
            return
        if result.outcome is not Outcome.INCONCLUSIVE:
            raise self._without_traceback(LeakError(failure_message(result), result))
        if options.inconclusive == "fail":
            message = f"could not judge: {failure_message(result)}"
            raise self._without_traceback(LeakSuiteError(message))
        warnings.warn(pytest.PytestWarning(f"could not judge: {headline(result)}"), stacklevel=4)

    def _without_traceback(self, error: Exception) -> Exception:
        """The error, marked for the report as one whose message says everything."""
        self._item.stash[SHORT_FAILURE] = error
        return error
