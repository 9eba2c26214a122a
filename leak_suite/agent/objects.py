"""The collector's objects, looked at without disturbing the threads that are making them.

A tuple that another thread is still filling has one reference, and CPython insists on it: while a
list of all objects lives, that tuple has two, and `tuple(generator)` raises SystemError. So the
list must be gone before any other thread runs again.
"""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from typing import Any

__all__ = ["Undisturbed", "count_objects", "referents"]

_SECONDS = 0.2
"""A thread that begins to wait while `Undisturbed` asks for its turn after so long, also when that
is over: long enough for a look at the objects, and short enough to wait for."""


def count_objects() -> int:
    """How many objects the collector knows, frozen ones aside.

    One call in C from beginning to end: no other thread runs while the list is there.
    """
    count: int = next(map(len, iter(gc.get_objects, None)))
    return count


def referents(*objects: object) -> list[Any]:
    """What the objects refer to, as `gc.get_referents` has it; of a module, its names only.

    On CPython 3.12.0 to 3.12.5 a module may not be asked: `_asyncio` shows the objects that it has
    freed and keeps for later, asking gives them back a second time, and the next question never
    ends (https://github.com/python/cpython/issues/122695).
    """
    modules = [one for one in objects if issubclass(type(one), _MODULE)]
    if not modules:
        return gc.get_referents(*objects)
    others = [one for one in objects if not issubclass(type(one), _MODULE)]
    # Past what a lazy module does when it is asked for an attribute.
    names = [object.__getattribute__(one, "__dict__") for one in modules]
    return [*names, *gc.get_referents(*others)]


_MODULE = type(sys)


class Undisturbed:
    """While entered, hardly a thread interrupts this one: for the few looks that keep a list.

    One that was waiting already may still get its turn, so this makes the error rare (on a machine
    that does nothing but make tuples, 1 in 5 looks) and `count_objects` impossible. Leave no list
    of objects behind.
    """

    def __enter__(self) -> Undisturbed:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SECONDS)
        return self

    def __exit__(self, *_: Any) -> None:
        sys.setswitchinterval(self._interval)
