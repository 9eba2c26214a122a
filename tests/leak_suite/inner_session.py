"""A pytest session inside a test, in which a conftest makes up the verdicts of leak checks."""

from __future__ import annotations

import json

import pytest

import leak_suite.pytest_plugin.checker  # noqa: F401 - once, and not anew in every inner session

__all__ = ["run", "seen"]

FAKE_CHECK = '''
"""Repeats three times; the outcome stands in the test's name."""
import json
import runpy
from pathlib import Path

from leak_suite.clauses import plain
from leak_suite.places import Place
from leak_suite.result import Cause, Finding, Outcome, RunResult, Series, Site

SEEN = Path(__file__).with_name("seen.jsonl")


def pytest_leak_check(spec, options):
    if hasattr(spec, "function"):
        name, call = spec.name, spec.function
    else:
        path, _, function = spec.target.rpartition(":")
        name, call = "isolated", runpy.run_path(path)[function]
    for _ in range(3):
        call()
    with SEEN.open("a") as file:
        file.write(json.dumps({"name": name, **vars(options)}, default=str) + "\\n")
    found = [o for o in Outcome if o.value.replace(" ", "_") in name] or [Outcome.STABLE]
    sites = (Site("shop/jobs.py", 12, "run", 64.0, (Place("shop/base.py", 3, "call"),)),)
    why = plain("so it was")
    finding = Finding("heap", "bytes", found[0], Cause.LEAK, 64.0, clauses=why, sites=sites)
    series = (Series("heap", "bytes", ((0, 1.0),)),)
    return RunResult(name, {}, found[0], 3, 0.1, series, (finding,))
'''

WITHOUT = [f"-pno:{plugin}" for plugin in ("cacheprovider", "locust", "benchmark", "schemathesis")]


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    """Run the tests in `text`; the outcome of a check stands in its test's name."""
    pytester.makeconftest(FAKE_CHECK)
    pytester.makepyfile(test_it=text)
    return pytester.runpytest(*WITHOUT, *arguments)


def seen(pytester: pytest.Pytester) -> list[dict[str, object]]:
    """The name and the options of every check."""
    return [json.loads(line) for line in (pytester.path / "seen.jsonl").read_text().splitlines()]
