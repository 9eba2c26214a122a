"""Following forks: what `os.register_at_fork` calls, and calls that wait until a fork is over.

A module of its own, since what is registered stays for good: it must not keep the agent alive.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from typing import Any

    from .resident import Resident

__all__ = ["Follower", "follow_forks", "quietly", "soon"]


class Follower:
    """The fork hooks of this process. Python cannot take them away; with no resident they idle."""

    __slots__ = ("_is_last", "_mark", "_running", "resident")

    def __init__(self) -> None:
        self._mark = os.register_at_fork  # by which it is found again
        self.resident: Resident | None = None
        self._running = False
        self._is_last = False

    def before(self) -> None:
        """End the thread of the resident."""
        resident = self.resident
        if resident is not None:
            self._running = resident.is_served
            quietly(resident.before_fork)

    def in_parent(self) -> None:
        """Have the resident go on."""
        resident = self.resident
        if resident is not None:
            running = self._running
            quietly(lambda: resident.after_in_parent(running))

    def come_last(self) -> None:
        """Have children begin after all hooks that are registered by now.

        While memray traces, its own has to come before: until then it takes a thread that starts
        in the child for the parent's, and writes into the parent's record.
        """
        if not self._is_last:
            self._is_last = True
            os.register_at_fork(after_in_child=self._begin_in_child)

    def in_child(self) -> None:
        """Have the resident begin anew, unless that is done later."""
        if not self._is_last:
            self._begin_in_child()

    def _begin_in_child(self) -> None:
        resident = self.resident
        if resident is not None:
            quietly(resident.after_in_child)

    def end(self) -> None:
        """Have the resident end: the interpreter does."""
        resident = self.resident
        if resident is not None:
            quietly(resident.end)

    def let_go(self) -> None:
        """Do nothing from here on."""
        import atexit

        atexit.unregister(self.end)
        self.resident = None


def follow_forks(resident: Resident) -> Follower:
    """Have `resident` live on in every child, by the hooks of an earlier one that idle now."""
    import atexit

    follower: Follower | None = _idle_follower()
    if follower is None:
        follower = Follower()
        os.register_at_fork(
            before=follower.before,
            after_in_parent=follower.in_parent,
            after_in_child=follower.in_child,
        )
    follower.resident = resident
    atexit.register(follower.end)
    return follower


def _idle_follower() -> Any:
    """One that an agent left here which has gone: no module leads to it any more."""
    import gc

    for item in gc.get_referrers(os.register_at_fork):
        kind = type(item)
        if (kind.__module__, kind.__name__) == (__name__, "Follower") and item.resident is None:
            return item
    return None


def quietly(step: Any) -> None:
    """Take a step of ours; nothing that goes wrong in it reaches the subject."""
    try:  # noqa: SIM105 - contextlib is not ours to import here
        step()
    except BaseException:  # noqa: S110
        pass


_pending: list[Any] = []


def soon(step: Any) -> None:
    """Run `step` in the main thread once the call that it is in has returned.

    By `Py_AddPendingCall`; at the next collection where that cannot be reached.
    """
    if not _pending:
        try:
            _pending.extend(_pending_calls())
        except Exception:
            _at_next_collection(step)
            return
    add, make, waiting = _pending
    waiting.append(step)
    if add(make, None) != 0:  # its queue is full
        waiting.remove(step)
        _at_next_collection(step)


def _pending_calls() -> tuple[Any, Any, list[Any]]:
    _ctypes: Any = __import__("_ctypes")
    flags = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI
    waiting: list[Any] = []

    class Int(_ctypes._SimpleCData):  # type: ignore[misc]
        _type_ = "i"

    class VoidPointer(_ctypes._SimpleCData):  # type: ignore[misc]
        _type_ = "P"

    class Callback(_ctypes.CFuncPtr):  # type: ignore[misc]
        _flags_ = flags
        _restype_ = Int
        _argtypes_ = (VoidPointer,)

    class Add(_ctypes.CFuncPtr):  # type: ignore[misc]
        _flags_ = flags
        _restype_ = Int
        _argtypes_ = (Callback, VoidPointer)

    def run(_: Any) -> int:
        while waiting:
            quietly(waiting.pop(0))
        return 0

    handle = _ctypes.dlopen(None, 0)
    return Add(_ctypes.dlsym(handle, "Py_AddPendingCall")), Callback(run), waiting


def _at_next_collection(step: Any) -> None:
    import gc

    def once(phase: str, _: Any) -> None:
        if phase == "stop":
            gc.callbacks.remove(once)
            quietly(step)

    gc.callbacks.append(once)
