"""The command that serves what is on trial."""

from __future__ import annotations

import sys
from pathlib import Path

from leak_suite.errors import ConfigurationError
from leak_suite.subject import AppSpec, CommandSpec, Spec

__all__ = ["argv_of"]


def argv_of(spec: Spec) -> tuple[str, ...]:
    """The command that serves `spec`; `{port}` stands where the port goes."""
    if isinstance(spec, CommandSpec):
        return spec.argv
    if isinstance(spec, AppSpec):
        place, _, name = spec.app.rpartition(":")
        folder = "."
        if place.endswith(".py"):
            folder, place = str(Path(place).resolve().parent), Path(place).stem
        python = str(spec.python or sys.executable)
        options = ("--app-dir", folder, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1")
        return (python, "-m", "uvicorn", f"{place}:{name}", *options)
    raise ConfigurationError("fit needs a service: --app, or -- COMMAND, with --workload")
