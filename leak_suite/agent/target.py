"""Finding the callable that a target names, inside the subject."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from typing import Any

__all__ = ["declared_not_called", "load", "not_called", "split"]


def split(target: str) -> tuple[str, str]:
    """("module or path", "name") of "package.module:name" or "path/file.py:name"."""
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise ValueError(
            f"{target!r} is not a target: write package.module:callable or path/file.py:callable"
        )
    return place, name


def load(target: str) -> Any:
    """The object that `target` names. A file's folder, or else the current one, joins sys.path."""
    place, name = split(target)
    found: Any = _from_file(place) if place.endswith(".py") else _from_module(place)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:  # noqa: PERF203
            raise AttributeError(f"{place} has no {name!r}") from None
    return found


def not_called(target: str) -> list[tuple[str, str]]:
    """What the module of `target`, which was loaded, says that its workload does not call."""
    place, _ = split(target)
    name = os.path.basename(place)[: -len(".py")] if place.endswith(".py") else place
    return declared_not_called(vars(sys.modules[name]))


def declared_not_called(names: dict[str, Any]) -> list[tuple[str, str]]:
    """The `NOT_CALLED` among the names of a module; TypeError if it is no list of pairs."""
    declared = names.get("NOT_CALLED", ())
    listed = isinstance(declared, (list, tuple))
    if not listed or not all(_is_pair(route) for route in declared):
        raise TypeError('NOT_CALLED must be a list of pairs like ("POST", "/upload")')
    return [(method, path) for method, path in declared]


def _is_pair(route: Any) -> bool:
    pair = isinstance(route, (list, tuple)) and len(route) == 2
    return pair and all(isinstance(part, str) for part in route)


def _from_module(name: str) -> Any:
    _join_path(os.getcwd())
    __import__(name)
    return sys.modules[name]


def _from_file(path: str) -> Any:
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
    _join_path(os.path.dirname(path))
    name = os.path.basename(path)[: -len(".py")]
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == path:
        return known
    # The import system's own frozen halves: importlib.util on top of them is a dozen modules.
    external: Any = sys.modules["_frozen_importlib_external"]
    spec = external.spec_from_file_location(name, path)
    module = sys.modules["_frozen_importlib"].module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _join_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
