"""The plugin's options: ini values, flags and marker arguments, and how they are resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

if TYPE_CHECKING:
    from leak_suite.options import Layer, Options

__all__ = [
    "CHECKS",
    "MARKER",
    "NO_MARKER",
    "OPTIONS",
    "PATHS",
    "SHORT_FAILURE",
    "add_options",
    "resolve_options",
    "validate_markers",
]

MARKER = "leak_check"
NO_MARKER = "no_leak_check"
PATHS = "leak_check_paths"
"""The ini option with files and folders whose tests are all marked."""
CHECKS = pytest.StashKey["list[dict[str, Any]]"]()
"""What the checks of a test found, as plain data that xdist can carry."""
SHORT_FAILURE = pytest.StashKey[BaseException]()
"""The failure of a test that is shown without a traceback."""


class Option(NamedTuple):
    """How an option is written: one text, a list of lines, or a flag that is true or false."""

    kind: Literal["string", "linelist", "flag"]
    help: str


OPTIONS: Mapping[str, Option] = {
    "max_seconds": Option("string", "time limit of one check"),
    "max_growth_bytes": Option("string", "growth that ends a check"),
    "max_threads": Option("string", "number of threads that ends a check"),
    "filling_allowance": Option("string", "what a bounded cache may take when it is full"),
    "budgets": Option("linelist", "METRIC=SIZE: highest level that a metric may reach"),
    "tolerances": Option("linelist", "METRIC=RATE: growth per iteration that is allowed"),
    "tracked": Option("linelist", "MODULE:CLASS whose living objects are counted"),
    "counters": Option("linelist", "NAME=MODULE:CALLABLE that returns a number"),
    "python": Option("string", "interpreter of isolated checks"),
    "output": Option("string", "folder for one run file per check"),
    "inconclusive": Option("string", 'if a check could not judge: "fail" or "warn"'),
    "isolate": Option("flag", "repeat tests in a fresh interpreter"),
    "attribution": Option("flag", "look for the line that leaks"),
}
"""Ini options `leak_NAME`, flags `--leak-NAME` and arguments of the marker, by NAME."""


def add_options(parser: pytest.Parser) -> None:
    """Register OPTIONS, without defaults: what is not given must not hide what is configured."""
    group = parser.getgroup("leak checks")
    parser.addini(PATHS, "files and folders whose tests are all leak checks", type="paths")
    for name, option in OPTIONS.items():
        ini: Any = "linelist" if option.kind == "linelist" else "string"
        parser.addini(f"leak_{name}", option.help, type=ini, default=None)
        flag, dest = f"--leak-{name.replace('_', '-')}", f"leak_{name}"
        if option.kind == "flag":
            for prefix, value in (("--leak-", "true"), ("--leak-no-", "false")):
                group.addoption(
                    prefix + name, dest=dest, action="store_const", const=value, help=option.help
                )
        else:
            action = "append" if option.kind == "linelist" else "store"
            group.addoption(flag, dest=dest, action=action, default=None, help=option.help)


def resolve_options(item: pytest.Item, *layers: Layer) -> Options:
    """The options of one test: flags win over `layers`, then markers, ini and pyproject.toml.

    Raises:
        ConfigurationError: an option is unknown or its value cannot be used.
    """
    from leak_suite.errors import ConfigurationError
    from leak_suite.options import Layer, resolve

    config = item.config
    ini = {name: config.getini(f"leak_{name}") for name in OPTIONS}
    flags = {name: config.getoption(f"leak_{name}") for name in OPTIONS}
    weaker = [Layer("pytest ini", {k: v for k, v in ini.items() if v not in (None, "", [])})]
    for marker in reversed([*item.iter_markers(MARKER)]):
        if marker.args:
            raise ConfigurationError(f"@pytest.mark.{MARKER} takes named options only")
        weaker.append(Layer(f"@pytest.mark.{MARKER}", marker.kwargs))
    function = getattr(item, "originalname", None) or item.name
    workload = f"{item.nodeid.partition('::')[0]}:{function}"
    return resolve(flags, config.rootpath, workload=workload, layers=[*weaker, *layers])


def validate_markers(items: list[pytest.Item]) -> None:
    """UsageError, in one line and before any test runs, where the options of a test are wrong."""
    from leak_suite.errors import ConfigurationError

    for item in items:
        if item.get_closest_marker(MARKER) is not None:
            try:
                resolve_options(item)
            except ConfigurationError as error:
                raise pytest.UsageError(f"{item.nodeid}: {error}") from None
