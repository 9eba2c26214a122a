"""What a program may import from `leak_suite`, and what that costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import leak_suite
from leak_suite.errors import LeakError, LeakSuiteError

PUBLIC = [
    "Finding",
    "LeakError",
    "LeakSuiteError",
    "Options",
    "Outcome",
    "RunResult",
    "Site",
    "check",
]


def test_the_package_exports_eight_names() -> None:
    assert sorted(leak_suite.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(leak_suite, name))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = leak_suite.nothing  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, leak_suite; print([m for m in sys.modules if m.startswith('leak_suite.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_result_can_be_read_without_the_tools_that_measure() -> None:
    code = (
        "import sys; from leak_suite import RunResult, Options, LeakError; "
        "print([m for m in ('psutil', 'memray', 'httpx', 'rich', 'pytest') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_check_stays_a_function_after_its_modules_were_imported() -> None:
    import leak_suite.checks.check

    assert callable(leak_suite.check)


def test_a_function_and_a_target_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "jobs.py"
    path.write_text("KEPT = []\ndef leak():\n    KEPT.append(bytearray(20_000))\n")
    options = leak_suite.Options(max_seconds=20, attribution=False)
    result = leak_suite.check(f"{path}:leak", options)
    assert result.outcome is leak_suite.Outcome.GROWING
    assert result.finding("heap").rate == pytest.approx(20_000, rel=0.1)
    calm = leak_suite.check(lambda: None, leak_suite.Options(max_seconds=20))
    assert calm.outcome is leak_suite.Outcome.STABLE, [f.reason for f in calm.findings]


def test_errors_form_the_tree_that_the_module_draws() -> None:
    import leak_suite.errors as errors

    drawn = (errors.__doc__ or "").partition("A leak is")[0]
    lines = [line for line in drawn.splitlines() if line.startswith("    ")]
    stack: list[tuple[int, str]] = []
    for line in lines:
        depth, name = len(line) - len(line.lstrip()), line.split()[0]
        stack = [one for one in stack if one[0] < depth]
        if stack:
            made = getattr(errors, name)
            assert made.__bases__[0].__name__ == stack[-1][1]
        stack.append((depth, name))
    assert {line.split()[0] for line in lines} >= set(errors.__all__)


def test_a_leak_error_carries_the_result() -> None:
    result = leak_suite.RunResult("job", {}, leak_suite.Outcome.GROWING, 1, 1.0)
    assert LeakError("it grows", result).result is result
    assert str(LeakError("it grows")) == "it grows"
    assert not issubclass(LeakError, LeakSuiteError)
