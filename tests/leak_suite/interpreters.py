"""The interpreters that this machine has, for tests of what runs inside a subject."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["VERSIONS", "interpreter"]

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


def interpreter(version: str) -> Path:
    """A CPython of that version; the test is skipped, with the reason, where there is none.

    `LEAK_SUITE_PYTHON_314` names one of 3.14 that is neither pyenv's nor on PATH, and so on; with
    `LEAK_SUITE_REQUIRE_314` the test fails where there is none.
    """
    digits = version.replace(".", "")
    chosen = os.environ.get(f"LEAK_SUITE_PYTHON_{digits}")
    if chosen:
        return Path(chosen)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    on_path = shutil.which(f"python{version}")
    if not found and on_path is None:
        missing = pytest.fail if os.environ.get(f"LEAK_SUITE_REQUIRE_{digits}") else pytest.skip
        missing(f"no CPython {version} on this machine")
    return found[-1] if found else Path(str(on_path))
