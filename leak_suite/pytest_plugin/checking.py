"""One leak check of one test: its options, its call, its verdict."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from leak_suite.errors import ConfigurationError, LeakError, LeakSuiteError
from leak_suite.options import Layer, Options, resolve
from leak_suite.pytest_plugin import OPTIONS, SHORT
from leak_suite.pytest_plugin.calling import caller
from leak_suite.pytest_plugin.isolated import write_target
from leak_suite.pytest_plugin.silence import silenced
from leak_suite.render import headline, in_short, properties
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import CallableSpec, InProcessSpec, Spec

__all__ = ["LeakChecker"]


class LeakChecker:
    """Makes the checks of one test and keeps what they found for its report."""

    def __init__(self, item: pytest.Item, checks: list[dict[str, str]]) -> None:
        self._item = item
        self._checks = checks

    def __call__(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> RunResult:
        """Repeat `function(*arguments)`; LeakError if something grows, else what was found."""
        __tracebackhide__ = True
        place = Layer("leak_check()", options)
        return self._check(partial(function, *arguments), self._options(place))

    def in_place_of(self, test: Callable[..., Any]) -> Callable[..., None]:
        """A function that takes the test's arguments, and checks it instead of calling it."""

        def checked(**arguments: Any) -> None:
            self._check(partial(test, **arguments), self._options())

        return checked

    def _options(self, *places: Layer) -> Options:
        """Flags win over the call, that over the marker, that over ini and pyproject.toml."""
        config = self._item.config
        ini = {name: config.getini(f"leak_{name}") for name in OPTIONS}
        flags = {name: config.getoption(f"leak_{name}") for name in OPTIONS}
        layers = [Layer("pytest ini", {k: v for k, v in ini.items() if v not in (None, "", [])})]
        for marker in reversed([*self._item.iter_markers("leak_check")]):
            if marker.args:
                raise ConfigurationError("@pytest.mark.leak_check takes named options only")
            layers.append(Layer("@pytest.mark.leak_check", marker.kwargs))
        name = f"{self._item.nodeid.partition('::')[0]}:{_function_name(self._item)}"
        return resolve(flags, config.rootpath, workload=name, layers=[*layers, *places])

    def _check(self, call: partial[Any], options: Options) -> RunResult:
        __tracebackhide__ = True
        result = (self._isolated if options.isolate else self._in_process)(call, options)
        self._keep(result, options)
        self._raise_for(result, options)
        return result

    def _in_process(self, call: partial[Any], options: Options) -> RunResult:
        __tracebackhide__ = True
        with caller(call, self._item) as once:
            once()  # as any test would be: it may skip, or fail with pytest's own words
            with silenced(self._item) as quietly:
                return self._judged(InProcessSpec(quietly(once), self._item.nodeid), options)

    def _isolated(self, call: partial[Any], options: Options) -> RunResult:
        with TemporaryDirectory(prefix="leak-suite-") as folder:
            target = write_target(call, Path(folder), self._item)
            return self._judged(CallableSpec(target, options.python), options)

    def _judged(self, spec: Spec, options: Options) -> RunResult:
        hook = self._item.config.hook
        result: RunResult = hook.pytest_leak_check(spec=spec, options=options)
        return result

    def _keep(self, result: RunResult, options: Options) -> None:
        self._checks.append({"outcome": result.outcome.value, "said": headline(result)})
        self._item.user_properties += properties(result)
        if options.output is not None:
            name = re.sub(r"[^\w.\[\]-]+", "_", self._item.nodeid)
            count = f"-{len(self._checks)}" if len(self._checks) > 1 else ""
            result.write(self._item.config.rootpath / options.output / f"{name}{count}.json")

    def _raise_for(self, result: RunResult, options: Options) -> None:
        __tracebackhide__ = True
        if result.outcome is Outcome.STABLE:
            return
        if result.outcome is not Outcome.INCONCLUSIVE:
            raise self._short(LeakError(in_short(result)))
        if options.inconclusive == "fail":
            raise self._short(LeakSuiteError(f"could not judge: {in_short(result)}"))
        warnings.warn(pytest.PytestWarning(f"could not judge: {headline(result)}"), stacklevel=4)

    def _short(self, error: Exception) -> Exception:
        """The error, known to the report as one that says everything itself."""
        self._item.stash[SHORT] = error
        return error


def _function_name(item: pytest.Item) -> str:
    return getattr(item, "originalname", None) or item.name
