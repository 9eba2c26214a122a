"""Read a run file, whichever command wrote it."""

from __future__ import annotations

import json
from pathlib import Path

from leak_suite.errors import RunFileError
from leak_suite.explain.result import Explanation, is_explanation_data
from leak_suite.fit.result import KIND, FitResult, is_fit_data
from leak_suite.fit.result_v1 import fit_from_version_1
from leak_suite.result import RunResult

__all__ = ["Result", "read_explanation", "read_result", "result_from_json"]

Result = RunResult | FitResult
"""What can stand in a run file: the result of `leak-suite run`, or of `leak-suite fit`."""


def result_from_json(text: str) -> Result:
    """The result that `text` holds.

    Raises:
        RunFileError: it is no run file, or of a version that this release does not know.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise RunFileError(f"not a run file: {error}") from error
    if is_explanation_data(data):
        raise RunFileError("this is an explanation, which only `leak-suite show` reads")
    if not is_fit_data(data):
        return RunResult.from_json(text)
    return FitResult.from_data(data) if data.get("kind") == KIND else fit_from_version_1(data)


def read_result(path: Path) -> Result:
    """The result in the file `path`.

    Raises:
        RunFileError: it cannot be read; the message names the path.
    """
    try:
        return result_from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFileError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RunFileError(f"{path}: not a run file: it is not text") from error
    except RunFileError as error:
        raise RunFileError(f"{path}: {error}") from error


def read_explanation(path: Path) -> Explanation | None:
    """The explanation in the file `path`; None where that is not one.

    Raises:
        RunFileError: it is an explanation of a version that this release does not know.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Explanation.from_data(data) if is_explanation_data(data) else None
