"""Writes a small file that repeats one test in a fresh interpreter, without pytest."""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leak_suite.errors import ConfigurationError

__all__ = ["write_target"]

_FILE = '''"""Loads a test from its file and repeats it."""
import importlib.util
import pickle
import sys

sys.path[:0] = [entry for entry in {path!r} if entry not in sys.path]
_spec = importlib.util.spec_from_file_location({module!r}, {file!r})
_module = importlib.util.module_from_spec(_spec)
sys.modules[{module!r}] = _module
_spec.loader.exec_module(_module)
with open({arguments!r}, "rb") as _file:
    _positional, _named = pickle.load(_file)
_test = _module
for _name in {names!r}:
    _test = getattr(_test, _name)
    if isinstance(_test, type):
        _test = _test()


{kind}def workload():
    {wait}_test(*_positional, **_named)
'''


def write_target(call: partial[Any], folder: Path, item: pytest.Item) -> str:
    """Write the file into `folder`, and return its target, `file.py:workload`.

    Raises:
        ConfigurationError: the test needs something that only this process has.
    """
    _refuse_fixtures(call.keywords, item)
    function = call.func
    module = inspect.getmodule(function)
    names = function.__qualname__.split(".")
    if module is None or module.__file__ is None or "<locals>" in names:
        raise ConfigurationError(
            f"isolate: {function.__qualname__} cannot be imported by another process; "
            "move it to the top of its file, or leave isolate out"
        )
    arguments = folder / "arguments"
    arguments.write_bytes(_pickled((call.args, call.keywords)))
    is_async = inspect.iscoroutinefunction(function)
    text = _FILE.format(
        path=_search_path(item),
        module=module.__name__,
        file=module.__file__,
        arguments=str(arguments),
        names=names,
        kind="async " if is_async else "",
        wait="await " if is_async else "",
    )
    (folder / "isolated_test.py").write_text(text, encoding="utf-8")
    return f"{folder / 'isolated_test.py'}:workload"


def _refuse_fixtures(named: Mapping[str, Any], item: pytest.Item) -> None:
    params = getattr(getattr(item, "callspec", None), "params", {})
    for name, value in named.items():
        if name not in params or params[name] is not value:
            raise ConfigurationError(
                f"isolate: the fixture {name!r} exists only in pytest's process; "
                "make what the test needs inside it, or leave isolate out"
            )


def _pickled(arguments: object) -> bytes:
    try:
        return pickle.dumps(arguments)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"isolate: the arguments cannot be pickled: {error}") from error


def _search_path(item: pytest.Item) -> list[str]:
    """The folders of sys.path that do not belong to this interpreter, and the test's own."""
    own = tuple(str(Path(prefix)) + "/" for prefix in (sys.prefix, sys.base_prefix))
    paths = [str(item.config.rootpath), str(item.path.parent), *filter(None, sys.path)]
    return list(dict.fromkeys(p for p in paths if not p.startswith(own)))
