"""Who holds an object: from it backwards along references to a name, in bounded steps."""

from __future__ import annotations

import functools
import gc
import sys
import time
import types

from ..objects import referents

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable
    from typing import Any

    from .ownership import Ownership

    # By the number of an object: itself, the text that leads from it to the item, and that text
    # for the case that the object is the dictionary of an instance or a class.
    Nodes = dict[int, tuple[Any, str, str]]

__all__ = ["CACHE_MARK", "Holders"]

_STEPS = 10
_MORE_STEPS = 2
"""How much farther to look for an own name where a library's was reached."""
_MOST_NODES = 60
_SHORT_DICT = 30
CACHE_MARK = " (its cache)"
_LRU_CACHE = type(functools.lru_cache(lambda: None))
_SUSPENDED = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


class Holders:
    """Searches for paths. `seconds` is the processor time that all searches may take together."""

    def __init__(
        self, ownership: Ownership, is_instrumentation: Callable[[object], bool], seconds: float
    ) -> None:
        self._ownership = ownership
        self._is_instrumentation = is_instrumentation
        self._until = time.thread_time() + seconds
        self._modules: dict[int, tuple[str, bool]] = {}
        for name, module in list(sys.modules.items()):
            if isinstance(module, types.ModuleType) and not name.startswith("_leak_"):
                file = getattr(module, "__file__", None) or "<"
                own = ownership.is_own(file) or name == "__main__"
                self._modules.setdefault(id(vars(module)), (name, own))
        self._locals: dict[int, str] = {}
        for frame in list(sys._current_frames().values()):
            self._name_locals(frame)

    def _name_locals(self, frame: types.FrameType | None) -> None:
        """What running own functions hold; their variables are seen by no collector."""
        while frame is not None:
            code = frame.f_code
            if self._ownership.is_own(code.co_filename) and code.co_name != "<module>":
                for name, value in list(frame.f_locals.items()):
                    self._locals.setdefault(id(value), _local(frame, name))
            frame = frame.f_back

    def path(self, item: object) -> tuple[str, bool]:
        """Like "job.REGISTRY[...].owner", and whether its name is an own one.

        The path is empty where no name was reached.
        """
        nodes: Nodes = {id(item): (item, "", "")}
        known = set(nodes)
        found: list[tuple[bool, int, str]] = []
        steps = _STEPS
        while nodes and steps > 0 and time.thread_time() < self._until:
            steps -= 1
            for identity, node in nodes.items():
                if identity in self._locals:
                    found.append((False, 0, self._locals[identity] + node[1]))
            if not any(not foreign for foreign, _, _ in found):
                nodes = self._step(nodes, known, found)
            if any(not foreign for foreign, _, _ in found):
                break
            if found:
                steps = min(steps, _MORE_STEPS)
        if not found:
            return "", False
        foreign, _, path = min(found)
        return path, not foreign

    def _step(self, nodes: Nodes, known: set[int], found: list[tuple[bool, int, str]]) -> Nodes:
        """One step backwards from all nodes; names that were reached go into `found`."""
        referrers = gc.get_referrers(*[node[0] for node in nodes.values()])
        ours = {id(referrers), id(nodes), id(known), id(found)}
        ours.update(id(node) for node in nodes.values())
        following: Nodes = {}
        while referrers and len(following) < _MOST_NODES:
            referrer = referrers.pop()
            identity = id(referrer)
            if identity in ours or identity in known or self._is_ours(referrer):
                continue
            node = next((nodes[id(c)] for c in referents(referrer) if id(c) in nodes), None)
            if node is None:
                continue
            child, text, attribute = node
            if identity in self._modules:
                name, own = self._modules[identity]
                path = f"{name}.{_key_of(referrer, child) or '?'}{text}"
                found.append((not own, len(path), path))
            elif isinstance(referrer, types.FrameType):
                found.append((True, 0, _local(referrer, _variable(referrer, child)) + text))
            elif isinstance(referrer, _SUSPENDED):
                found.append((True, 0, _suspended(referrer, child) + text))
            elif isinstance(referrer, dict):
                key = _key_of(referrer, child)
                item = f"[{key!r}]" if key and len(referrer) <= _SHORT_DICT else "[...]"
                following[identity] = referrer, item + text, f".{key}{text}" if key else ""
            else:
                if attribute and _has_as_dict(referrer, child):
                    text = attribute
                    following[identity] = referrer, text, ""
                else:
                    following[identity] = referrer, _edge(referrer, child) + text, ""
        known.update(following)
        return following

    def _is_ours(self, referrer: Any) -> bool:
        if isinstance(referrer, types.FrameType):
            return self._ownership.is_instrumentation(referrer.f_code.co_filename)
        return id(referrer) not in self._modules and self._is_instrumentation(referrer)


def _local(frame: types.FrameType, name: str) -> str:
    code = frame.f_code
    return f"{name} of {code.co_name}() at {code.co_filename}:{frame.f_lineno}"


def _variable(frame: types.FrameType, item: object) -> str:
    return next((name for name, value in list(frame.f_locals.items()) if value is item), "?")


def _suspended(coroutine: Any, item: object) -> str:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(coroutine, name, None)
        if frame is not None:
            return _local(frame, _variable(frame, item))
    return getattr(coroutine, "__qualname__", "a coroutine")


def _key_of(holder: dict[Any, Any], child: object) -> str:
    """The key, if it is text, that a dictionary has the child under."""
    try:
        for key, value in dict.items(holder):
            if value is child:
                return key if type(key) is str else ""
    except RuntimeError:  # another thread works on it
        pass
    return ""


def _has_as_dict(owner: Any, attributes: object) -> bool:
    """Whether the dictionary is the one of that class or instance."""
    if isinstance(owner, type):
        return True  # a class refers to no other dictionary that has its attributes in it
    try:
        return object.__getattribute__(owner, "__dict__") is attributes
    except Exception:  # it has none
        return False


def _edge(referrer: Any, child: Any) -> str:
    """The text that leads from an object to one that it refers to."""
    if isinstance(referrer, (list, tuple, set, frozenset)):
        return "[...]"
    if isinstance(referrer, (types.CellType, types.MethodType)):
        return ""
    if isinstance(referrer, _LRU_CACHE):
        return CACHE_MARK
    if isinstance(referrer, types.FunctionType):
        return _function_edge(referrer, child)
    if isinstance(referrer, type):
        return ""
    return _attribute(referrer, child) or f" > {type(child).__name__}"


def _function_edge(function: types.FunctionType, child: object) -> str:
    if child is function.__closure__:
        return " (its closure)"
    if child is function.__defaults__ or child is function.__kwdefaults__:
        return " (its defaults)"
    return ""


def _attribute(owner: Any, child: object) -> str:
    """Like ".name", of an instance whose dictionary or slots hold the child."""
    try:
        attributes = object.__getattribute__(owner, "__dict__")
    except Exception:  # it has none
        attributes = None
    if type(attributes) is dict and (name := _key_of(attributes, child)):
        return f".{name}"
    for kind in type(owner).__mro__:
        for name, slot in list(vars(kind).items()):
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    if slot.__get__(owner) is child:
                        return f".{name}"
                except AttributeError:
                    continue
    return ""
