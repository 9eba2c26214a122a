"""Which own line changed what is watched: after each own line, in every thread, look again.

That sees what C code opens or inserts as well, which no hook on `open` would. In a process with
threads the one that looks first need not be the one that did it: every own line under way at that
moment is a suspect, and the suspect of most changes is named.
"""

from __future__ import annotations

import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections import Counter
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any, Protocol

    Stack = list[tuple[str, int, str]]  # innermost first: file, line, function

    class Watch(Protocol):
        """Something whose changes are charged to lines."""

        def changed(self) -> bool:
            """Whether it may have changed since `update`; cheap, called after each own line."""
            ...

        def update(self, suspects: Callable[[], list[Stack]]) -> None:
            """Take over the present state; `suspects` gives the lines that may have changed it."""
            ...


__all__ = ["LineTrace", "most_suspected"]

_FRAMES = 40


class LineTrace:
    """A trace function in all threads, those that run already included."""

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        self.watches: list[Any] = []
        self._is_own = is_own
        # By a hash of what stands in them; groups of stacks by the identity of these.
        self._stacks: dict[int, Stack] = {}
        self._groups: dict[Any, list[Stack]] = {}
        self._previous: tuple[Any, Any] = (None, None)
        self.active = False
        self._updating = threading.Lock()
        # By thread: the own frame that it is in, if any, and the line that it is at.
        self._under_way: dict[int, list[Any]] = {}

    def start(self) -> None:
        """Begin to trace, unless that was done."""
        if self.active:
            return
        self.active = True
        _stop_in_children(self)
        self._previous = sys.gettrace(), getattr(threading, "_trace_hook", None)
        threading.settrace(self._on_call)
        _set_trace_everywhere(self._on_call)
        self._join_running_frames()

    def stop(self) -> None:
        """End tracing in every thread."""
        if not self.active:
            return
        self.active = False
        self.watches = []
        threading.settrace(self._previous[1])
        _set_trace_everywhere(None)
        sys.settrace(self._previous[0])
        self._under_way.clear()

    def _on_call(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        if not self.active or not self._is_own(frame.f_code.co_filename):
            return None
        # What is new at a call was done before it, by the caller.
        self._look(frame.f_back, None)
        return self._follow(frame, entered=False)

    def _follow(self, frame: FrameType, entered: bool) -> Any:
        self._set_under_way(frame, frame.f_lineno)
        return _FrameTrace(self, frame.f_lineno, entered)

    def on_event(self, frame: FrameType, line: int | None, entered: bool, event: str) -> None:
        """An own line of `frame` has ended; `line` is the one that ended."""
        # Before its first line a call does nothing: what is new there was done by others.
        self._look(frame if entered else None, line)
        if event == "return":
            self._leave(frame.f_back)
        else:
            self._set_under_way(frame, frame.f_lineno)

    def _join_running_frames(self) -> None:
        """Own functions that run already are traced from their next line on."""
        for frame in list(sys._current_frames().values()):
            inner: FrameType | None = frame
            while inner is not None:
                if inner.f_trace is None and self._is_own(inner.f_code.co_filename):
                    inner.f_trace = self._follow(inner, entered=True)
                inner = inner.f_back
        self._under_way.clear()

    def _leave(self, caller: FrameType | None) -> None:
        """A call has ended, or its coroutine waits: the caller's line goes on, if it has one."""
        if caller is not None and self._is_own(caller.f_code.co_filename):
            self._set_under_way(caller, None)
        else:
            self._under_way.pop(threading.get_ident(), None)

    def _set_under_way(self, frame: FrameType, line: int | None) -> None:
        entry = self._under_way.get(threading.get_ident())
        if entry is None:
            self._under_way[threading.get_ident()] = [frame, line]
        else:
            entry[0], entry[1] = frame, line

    def _look(self, frame: FrameType | None, line: int | None) -> None:
        for watch in self.watches:
            if watch.changed() and self._updating.acquire(False):
                try:
                    watch.update(lambda: self._suspects(frame, line))
                finally:
                    self._updating.release()

    def _suspects(self, frame: FrameType | None, line: int | None) -> list[Stack]:
        """The line that has just ended here, and those that are under way in other threads."""
        here = threading.get_ident()
        looking = self._stack(frame, line)
        if len(self._under_way) == (here in self._under_way):
            known = self._groups.get(id(looking))
            if known is None:
                known = self._groups[id(looking)] = [looking] if looking else []
            return known
        others = [
            self._stack(*at) for thread, at in list(self._under_way.items()) if thread != here
        ]
        group = [stack for stack in (looking, *others) if stack]
        return self._groups.setdefault(tuple(map(id, group)), group)

    def _stack(self, frame: FrameType | None, line: int | None) -> Stack:
        """The frames from `frame` outwards. Equal stacks are one.

        What looks after each line must not become a leak of its own in the record, nor fill the
        free lists of lists and tuples, which the subject would then take what it leaks from: a
        stack that is known is found without making one.
        """
        inner, key, depth = frame, 0, 0
        while inner is not None and depth < _FRAMES:
            at = (line if inner is frame else None) or inner.f_lineno or 0
            key = ((key * _FACTOR ^ id(inner.f_code)) * _FACTOR ^ at) & _MASK
            inner, depth = inner.f_back, depth + 1
        known = self._stacks.get(key)
        if known is None:
            known = self._stacks[key] = _frames(frame, line)
        return known


_FACTOR, _MASK = 1_000_003, (1 << 60) - 1


def _frames(frame: FrameType | None, line: int | None) -> Stack:
    frames: Stack = []
    while frame is not None and len(frames) < _FRAMES:
        code = frame.f_code
        frames.append((code.co_filename, line or frame.f_lineno or 0, code.co_name))
        frame, line = frame.f_back, None
    return frames


class _FrameTrace:
    """The trace function of one call: an object, since a closure would be a cycle each time."""

    __slots__ = ("_entered", "_line", "_trace")

    def __init__(self, trace: LineTrace, line: int | None, entered: bool) -> None:
        self._trace = trace
        self._line = line
        self._entered = entered

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if not self._trace.active:
            return None
        if event != "exception":
            self._trace.on_event(frame, self._line, self._entered, event)
            self._entered = True
            self._line = frame.f_lineno
        return self


_traces: list[LineTrace] = []


def _stop_in_children(trace: LineTrace) -> None:
    """What is forked meanwhile must not be traced: nobody would end it there."""
    if not _traces:
        os.register_at_fork(after_in_child=lambda: _traces[0].stop())
    _traces[:] = [trace]


def most_suspected(suspects: list[Stack] | None, votes: Counter[Any]) -> Stack | None:
    """Of the suspects the one with most votes; in doubt the one that looked."""
    return max(suspects, key=lambda stack: votes[place(stack)]) if suspects else None


def place(stack: Stack) -> Any:
    """The innermost (file, line) of a stack."""
    return stack[0][:2] if stack else ()


def votes_of(changes: Iterable[list[Stack] | None]) -> Counter[Any]:
    """How often each place was among the suspects of a change."""
    from collections import Counter

    return Counter(where for suspects in changes for where in {place(s) for s in suspects or ()})


def _set_trace_everywhere(function: Any) -> None:
    """`sys.settrace` for every thread that runs: public from 3.12 on, before by the C API."""
    if hasattr(threading, "settrace_all_threads"):
        threading.settrace_all_threads(function)
        return
    import ctypes

    sys.settrace(function)
    api: Any = ctypes.PyDLL(None)  # of our own: ctypes.pythonapi is the subject's
    for name, result, arguments in (
        ("PyThreadState_Get", ctypes.c_void_p, []),
        ("PyInterpreterState_Head", ctypes.c_void_p, []),
        ("PyInterpreterState_ThreadHead", ctypes.c_void_p, [ctypes.c_void_p]),
        ("PyThreadState_Next", ctypes.c_void_p, [ctypes.c_void_p]),
    ):
        getattr(api, name).restype = result
        getattr(api, name).argtypes = arguments
    here = api.PyThreadState_Get()
    if function is None:
        trampoline, argument = None, None
    else:
        # CPython's own trampoline to Python trace functions stands two words before the function
        # in a thread's state: c_profilefunc, c_tracefunc, c_profileobj, c_traceobj.
        words = (ctypes.c_void_p * _STATE_WORDS).from_address(here)
        at = next((i for i, word in enumerate(words) if word == id(function)), None)
        if at is None:
            return  # this thread only
        trampoline, argument = words[at - 2], function
    set_trace = api._PyEval_SetTrace
    set_trace.restype = ctypes.c_int
    set_trace.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    state = api.PyInterpreterState_ThreadHead(api.PyInterpreterState_Head())
    while state:
        if state != here:
            set_trace(state, trampoline, None if argument is None else id(argument))
        state = api.PyThreadState_Next(state)


_STATE_WORDS = 40
