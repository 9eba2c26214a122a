"""Counting live objects of chosen classes, and reading counters that the subject declares."""

from __future__ import annotations

from . import target

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable
    from typing import Any

__all__ = ["Counter", "TrackedClass", "track"]

_CLOSERS = ("close", "release", "shutdown", "aclose", "terminate", "__exit__", "__aexit__")


class TrackedClass:
    """How many objects of one class are alive and not closed.

    An object counts from the end of `__init__` until its close-like method was called or it was
    collected. Weak references are held by number, so that objects need not be hashable.
    """

    def __init__(self, cls: Any) -> None:
        from _weakref import ref

        self.name = cls.__name__
        self._alive: dict[int, Any] = {}
        self._ref = ref
        self._wrap(cls)

    def _wrap(self, cls: Any) -> None:
        alive, ref = self._alive, self._ref
        initialise = cls.__init__
        self._cls = cls
        self._own: dict[str, Any] = {"__init__": cls.__dict__.get("__init__")}

        def __init__(instance: Any, *args: Any, **kwargs: Any) -> None:
            initialise(instance, *args, **kwargs)
            number = id(instance)
            try:
                alive[number] = ref(instance, lambda _: alive.pop(number, None))
            except TypeError:  # no weak references: counted until it is closed
                alive[number] = None

        cls.__init__ = __init__
        for name in _CLOSERS:
            method = getattr(cls, name, None)
            if callable(method):
                self._own[name] = cls.__dict__.get(name)
                setattr(cls, name, _closing(method, alive))

    def release(self) -> None:
        """Put the class back as it was."""
        for name, method in self._own.items():
            if method is None:
                delattr(self._cls, name)
            else:
                setattr(self._cls, name, method)

    def read(self) -> int:
        """Objects alive and open now."""
        return len(self._alive)

    def describe(self) -> list[tuple[str, str]]:
        """(class, representation) of some that are alive."""
        found = [reference() for reference in list(self._alive.values()) if reference is not None]
        return [(self.name, _short(item)) for item in found[:20] if item is not None]


class Counter:
    """A number that the subject keeps itself, read by calling what it declared."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self._function = function
        self.error = ""

    def read(self) -> int | None:
        """The number; None, with `error` set, where the function fails or gives something else."""
        try:
            return int(self._function())
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            return None


def track(target_name: str) -> TrackedClass:
    """Begin to count the class that "module:Class" names."""
    cls = target.load(target_name)
    if not isinstance(cls, type):
        raise TypeError(f"{target_name} is not a class and cannot be tracked")
    if not cls.__weakrefoffset__ and not any(hasattr(cls, name) for name in _CLOSERS):
        raise TypeError(f"{target_name} has neither weak references nor a close-like method")
    return TrackedClass(cls)


def _closing(method: Any, alive: dict[int, Any]) -> Callable[..., Any]:
    def close(instance: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(instance, *args, **kwargs)
        alive.pop(id(instance), None)
        return result

    close.__name__ = getattr(method, "__name__", "close")
    close.__doc__ = method.__doc__
    return close


def _short(item: Any) -> str:
    try:
        return repr(item)[:120]
    except Exception as error:
        return f"<{type(item).__name__}, repr failed: {error}>"
