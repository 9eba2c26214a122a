"""Inside the subject: which objects live, where each was made, and the shortest way to a holder.

The search starts at the names of modules (the subject's own first), then at the frames of running
threads, and goes along references, breadth first. Standard library, 3.9 syntax.
"""

from __future__ import annotations

import collections
import gc
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["groups", "held"]

MOST_OBJECTS = 200000
MOST_NODES = 200000
MOST_GROUPS = 200
MOST_CONTAINERS = 300
DEPTH = 12
_CONTAINERS = (dict, list, set, collections.deque)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), types.CodeType, types.ModuleType)


def groups() -> list[dict[str, Any]]:
    """Live objects that were made under tracemalloc, counted by type and stack.

    Each group keeps one of its objects as "id", so that `held` can say who holds it.
    """
    frames_of = _traceback_reader()
    counts: dict[tuple[type, tuple[tuple[str, int], ...]], list[int]] = {}
    for item in gc.get_objects()[:MOST_OBJECTS]:
        frames = frames_of(item)
        if frames is None:
            continue
        key = (type(item), frames)
        entry = counts.get(key)
        if entry is None:
            counts[key] = [1, id(item)]
        else:
            entry[0] += 1
            entry[1] = id(item)
    largest = sorted(counts.items(), key=lambda pair: -pair[1][0])[:MOST_GROUPS]
    return [
        {
            "type": _type_name(kind),
            "count": count,
            "id": identity,
            "stack": [[file, line, ""] for file, line in frames],
        }
        for (kind, frames), (count, identity) in largest
    ]


def held(ownership: Any, wanted: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sizes of the containers that can be reached by name; `wanted` groups get their "holder"."""
    search = _Search(ownership)
    for group in wanted:
        path = search.path(group["id"])
        if path:
            group["holder"] = path
    return search.containers()


def _traceback_reader() -> Callable[[object], Any]:
    """A function from an object to the frames that it was made in, innermost first, or None."""
    import _tracemalloc  # its public face makes an object per frame

    read_object: Callable[[object], Any] = vars(_tracemalloc)["_get_object_traceback"]
    if sys.version_info[:2] != (3, 11):
        return read_object

    # 3.11 puts two words before instances with a managed dictionary, and looks past their trace.
    import ctypes

    by_address = ctypes.pythonapi._PyTraceMalloc_GetTraceback
    by_address.argtypes = [ctypes.c_uint, ctypes.c_size_t]
    by_address.restype = ctypes.py_object
    managed, before = 1 << 4, 4 * ctypes.sizeof(ctypes.c_void_p)

    def read(item: object) -> Any:
        if type(item).__flags__ & managed:
            return by_address(0, id(item) - before)
        return read_object(item)

    return read


def _type_name(kind: type) -> str:
    module = getattr(kind, "__module__", "builtins")
    name = getattr(kind, "__qualname__", repr(kind))
    return name if module == "builtins" else f"{module}.{name}"


class _Search:
    """One breadth-first walk over everything that can be reached by name."""

    def __init__(self, ownership: Any) -> None:
        self.parents: dict[int, tuple[int | None, str]] = {}
        self.sizes: list[tuple[int, int, str]] = []
        self._keep: list[object] = []
        own: list[tuple[str, types.ModuleType]] = []
        others: list[tuple[str, types.ModuleType]] = []
        for name, module in list(sys.modules.items()):
            if isinstance(module, types.ModuleType) and not name.startswith("_leak_"):
                file = getattr(module, "__file__", None) or "<"
                (own if ownership.is_own(file) else others).append((name, module))
        for modules in (own, others):
            self._walk(
                (name + "." + key, value)
                for name, module in modules
                for key, value in list(vars(module).items())
                if not (key.startswith("__") and key.endswith("__"))
            )
        self._walk(_locals(ownership))

    def path(self, identity: int | None) -> str:
        """Like "job.REGISTRY[...].owner"; empty where no name leads there."""
        labels = []
        while identity is not None and identity in self.parents:
            identity, label = self.parents[identity]
            labels.append(label)
        return "".join(reversed(labels))

    def containers(self) -> list[dict[str, Any]]:
        """Path, type and length of the largest containers."""
        self.sizes.sort(reverse=True)
        return [
            {"path": self.path(identity), "type": kind, "length": length}
            for length, identity, kind in self.sizes[:MOST_CONTAINERS]
        ]

    def _walk(self, roots: Iterable[tuple[str, object]]) -> None:
        queue: collections.deque[tuple[Any, int]] = collections.deque()
        for label, item in roots:
            self._reach(queue, None, label, item, 0)
        while queue and len(self.parents) < MOST_NODES:
            item, depth = queue.popleft()
            if depth < DEPTH:
                for label, child in _edges(item):
                    self._reach(queue, id(item), label, child, depth + 1)

    def _reach(
        self,
        queue: collections.deque[tuple[Any, int]],
        parent: int | None,
        label: str,
        item: object,
        depth: int,
    ) -> None:
        if isinstance(item, _PLAIN) or id(item) in self.parents:
            return
        if str(type(item).__module__).startswith("_leak_"):
            return
        self.parents[id(item)] = (parent, label)
        self._keep.append(item)  # an id stays true only while its object lives
        if isinstance(item, _CONTAINERS) and len(item) > 1:
            self.sizes.append((len(item), id(item), type(item).__name__))
        queue.append((item, depth))


def _locals(ownership: Any) -> list[tuple[str, object]]:
    """Names in the frames of running threads, those of the subject's own code first."""
    found = []
    for top in list(sys._current_frames().values()):
        frame: types.FrameType | None = top
        while frame is not None:
            code = frame.f_code
            place = f"{code.co_name}() at {code.co_filename}:{frame.f_lineno}: "
            if not ownership.is_machinery(code.co_filename):
                for name, value in list(frame.f_locals.items()):
                    found.append((not ownership.is_own(code.co_filename), place + name, value))
            frame = frame.f_back
    found.sort(key=lambda entry: entry[0])
    return [(label, value) for _, label, value in found]


def _edges(item: Any) -> list[tuple[str, object]]:
    """What `item` refers to, each with the text that leads from it to there."""
    if isinstance(item, dict):
        return _dict_edges(item)
    if isinstance(item, (list, tuple, set, frozenset, collections.deque)):
        return [("[...]", child) for child in list(item)]
    if isinstance(item, types.FunctionType):
        return _function_edges(item)
    if isinstance(item, types.CellType):
        return [("", child) for child in gc.get_referents(item)]
    if isinstance(item, type):
        return [("." + name, child) for name, child in list(vars(item).items())]
    return _instance_edges(item)


def _dict_edges(item: dict[Any, Any]) -> list[tuple[str, object]]:
    edges = []
    for key, child in list(item.items()):
        named = isinstance(key, str) and len(item) <= 20
        edges.append((f"[{key!r}]" if named else "[...]", child))
        edges.append((" (key)", key))
    return edges


def _function_edges(item: types.FunctionType) -> list[tuple[str, object]]:
    names = item.__code__.co_freevars
    cells = item.__closure__ or ()
    edges: list[tuple[str, object]] = []
    edges.extend((f" (closure of it: {names[i]})", cell) for i, cell in enumerate(cells))
    edges.extend((" (default)", child) for child in item.__defaults__ or ())
    edges.extend((" (default)", child) for child in (item.__kwdefaults__ or {}).values())
    edges.extend(("." + name, child) for name, child in vars(item).items())
    return edges


def _instance_edges(item: object) -> list[tuple[str, object]]:
    edges: list[tuple[str, object]] = []
    try:
        attributes = object.__getattribute__(item, "__dict__")
    except Exception:
        attributes = None
    seen = {id(attributes), id(type(item))}
    if isinstance(attributes, dict):
        for name, child in list(attributes.items()):
            seen.add(id(child))
            edges.append((f".{name}", child))
    edges.extend(
        (f" -> {type(child).__name__}", child)
        for child in gc.get_referents(item)
        if id(child) not in seen and not isinstance(child, _PLAIN)
    )
    return edges
