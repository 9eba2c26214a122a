"""Containers that get longer in both windows, the lines that insert, and what they were given."""

from __future__ import annotations

import collections
import gc
import sys
import types

from ..objects import Undisturbed, referents
from .bounds import newest_cached
from .lines import most_suspected, votes_of

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable, Iterator
    from typing import Any

    from .allocations import Recording
    from .lines import Stack

__all__ = ["Containers", "made_of", "type_name"]

_SIZED = frozenset(
    (
        dict,
        list,
        set,
        collections.deque,
        collections.OrderedDict,
        collections.defaultdict,
        collections.Counter,
    )
)
"""Types that are looked at, with those that are made from them."""
_PLAIN_SIZED = frozenset((dict, list, set, collections.deque))
"""Those of which `len` runs no code of the subject."""
_FREE_LISTED = frozenset((dict, list, tuple, float, types.MethodType))
"""Types whose memory the interpreter keeps and hands out again: the record of the allocation is of
whoever had it first."""
_SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)
_LEAST_LENGTH = 8
_MOST_WATCHED = 40
_MOST_TOLD = 12
_LEAST_SHARE = 0.02
_STOPPED = 0.05
"""What grew by no more than this share of its growth before has stopped."""
_SAMPLE = 16
_SMALL = 512
_MOST_PARTS = 200
_DEPTH = 5
_CHUNK = 4096


class Containers:
    """Lengths of all containers at three times; they are known by number, not kept alive.

    `iterations` were done before: a container that gets one item in each has at least a share of
    so many, and shorter ones need not be remembered.
    """

    def __init__(self, iterations: int, is_instrumentation: Callable[[object], bool]) -> None:
        self._is_instrumentation = is_instrumentation
        self._least = least = max(1, min(_LEAST_LENGTH, iterations // 4))
        self._lengths: list[dict[int, tuple[int, int]]] = [{}, {}]
        self._watches: dict[int, ContainerWatch] = {}
        first = self._lengths[0]
        for item in _containers(least):
            length = length_of(item)
            if length >= least:
                first[id(item)] = length, _size(item)

    def end_window(self) -> list[ContainerWatch]:
        """Watches for the containers that got longer in the first window."""
        first, second = self._lengths
        grown: list[tuple[int, Any]] = []
        for item in _containers(self._least + 1):
            length = length_of(item)
            if length <= self._least:  # numbers of objects are objects, which would be recorded
                continue
            before = first.get(id(item))
            if before is None:
                continue
            if length > before[0] and item is not first and item is not second:
                second[id(item)] = length, _size(item)
                grown.append((length - before[0], item))
        grown.sort(key=lambda pair: -pair[0])
        chosen = [item for _, item in grown if not self._is_instrumentation(item)]
        self._watches = {id(item): ContainerWatch(item) for item in chosen[:_MOST_WATCHED]}
        return list(self._watches.values())

    def grown(self) -> list[tuple[dict[str, Any], Any]]:
        """(row, container) of what got longer in both windows, the most first.

        A row is {"type", "length", "entry" in bytes, "grown": (first, second), "bytes": (first,
        second)}.
        """
        first, second = self._lengths
        found = []
        for item in _containers(self._least + 1):
            middle = second.get(id(item))
            if middle is None:
                continue
            before, length, size = first[id(item)], length_of(item), _size(item)
            # What was made for the first window stops; how steady the rest is, the host decides.
            if length - middle[0] <= _STOPPED * (middle[0] - before[0]):
                continue
            row: dict[str, Any] = {
                "type": type(item).__name__,
                "length": length,
                "entry": _entry_bytes(item, length, size),
                "grown": (middle[0] - before[0], length - middle[0]),
                "bytes": (middle[1] - before[1], size - middle[1]),
            }
            found.append((row, item))
        found.sort(key=lambda pair: -sum(pair[0]["grown"]))
        least = _LEAST_SHARE * sum(found[0][0]["grown"]) if found else 0.0
        return [
            pair
            for pair in found[:_MOST_TOLD]
            if sum(pair[0]["grown"]) >= least and not self._is_instrumentation(pair[1])
        ]

    def inserted(self, item: object) -> list[tuple[Stack, int]]:
        """(stack, items) of the lines that made the container longer in the second window."""
        watch = self._watches.get(id(item))
        return [] if watch is None else watch.inserted()

    def close(self) -> None:
        """Let go of the containers that were watched."""
        self._watches.clear()
        self._lengths = [{}, {}]


class ContainerWatch:
    """The length of one container; it is kept alive until tracing ends."""

    def __init__(self, item: Any) -> None:
        self._item = item
        self._length = length_of(item)
        # By the identity of suspects, which are kept once: they, how often, how many items.
        self._changes: dict[int, tuple[list[Stack], list[int]]] = {}

    def changed(self) -> bool:
        """See `Watch.changed`."""
        return length_of(self._item) != self._length

    def update(self, suspects: Callable[[], list[Stack]]) -> None:
        """See `Watch.update`."""
        length = length_of(self._item)
        if length > self._length:
            found = suspects()
            known = self._changes.get(id(found))
            if known is None and len(self._changes) < _MOST_GROUPS:
                known = self._changes[id(found)] = found, [0, 0]
            if known is not None:
                known[1][0] += 1
                known[1][1] += length - self._length
        self._length = length

    def inserted(self) -> list[tuple[Stack, int]]:
        """(stack, items) of each line that inserted, the most first."""
        changes = list(self._changes.values())
        votes = votes_of(suspects for suspects, (times, _) in changes for _ in range(times))
        totals: dict[int, tuple[Stack, int]] = {}
        for suspects, (_, count) in changes:
            stack = most_suspected(suspects, votes)
            if stack is not None:
                known = totals.get(id(stack), (stack, 0))
                totals[id(stack)] = stack, known[1] + count
        return sorted(totals.values(), key=lambda pair: -pair[1])


_MOST_GROUPS = 2_000


def made_of(
    container: Any,
    recording: Recording,
    inserting: int | None,
    seen: dict[int, int],
    number: int,
    cache: Any = None,
) -> tuple[list[dict[str, Any]], int, int | None]:
    """What the newest items are made of, by the line that made it; and how many were looked at.

    The third value is the number of the container that holds most of the same items, if one does.
    A row is {"stack": index or None, "type", "bytes", "large", "blocks", "objects"}, summed over
    the items; "large" are the bytes that the C library's heap holds. What the record cannot tell
    (see `_FREE_LISTED`) counts for whoever made what holds it, in the end for the line that
    inserts. Objects in `seen`, by the number of the container that they count for, do not count
    again; `number` is this one's. `cache` is the `functools` cache whose table the container is.
    """
    rows: dict[Any, dict[str, Any]] = {}
    seen[id(container)] = -1
    items = newest_cached(cache, container, _SAMPLE) if cache is not None else []
    items = items or _newest(container)
    budget = [_MOST_PARTS * max(1, len(items))]
    held = [next((seen[id(i)] for i in group if seen.get(id(i), -1) >= 0), -1) for group in items]
    for group in items:
        for item in group:
            _charge(item, inserting, 0, recording, rows, seen, number, budget)
    if isinstance(container, collections.OrderedDict):
        # Its order is kept in nodes that are no objects.
        rows["node"] = {
            "stack": inserting, "type": "node", "bytes": _NODE * len(items), "large": 0,
            "blocks": len(items), "objects": 0,
        }  # fmt: skip
    same = max(held, key=held.count, default=-1)
    shared = same >= 0 and held.count(same) > len(held) / 2
    return list(rows.values()), len(items), same if shared else None


def _newest(container: Any) -> list[tuple[Any, ...]]:
    """The last items; a dictionary's as (key, value). Of a set any: it has no order."""
    try:
        if isinstance(container, dict):
            # A plain dictionary's own methods: a subclass may have code of its own.
            keys = dict.__reversed__(container)
            return [(key, dict.get(container, key)) for key, _ in zip(keys, range(_SAMPLE))]  # noqa: B905 - 3.9
        if isinstance(container, set):
            items = set.__iter__(container)
            return [(item,) for item, _ in zip(items, range(_SAMPLE))]  # noqa: B905 - 3.9
        item_at = list.__getitem__ if isinstance(container, list) else collections.deque.__getitem__
        count = min(_SAMPLE, length_of(container))
        return [(item_at(container, -1 - i),) for i in range(count)]
    except (RuntimeError, IndexError):  # another thread works on it
        return []


def _charge(
    item: Any,
    parent: int | None,
    depth: int,
    recording: Recording,
    rows: dict[Any, dict[str, Any]],
    seen: dict[int, int],
    number: int,
    budget: list[int],
) -> None:
    kind = type(item)
    if id(item) in seen or isinstance(item, _SHARED) or depth > _DEPTH or budget[0] <= 0:
        return
    seen[id(item)] = -1
    budget[0] -= 1
    made = recording.made(item)
    stack = None if made is None else made[0]
    if kind in _FREE_LISTED and recording.tool != "tracemalloc":
        # Without a record it may be an old one: then others hold it too.
        if made is None and sys.getrefcount(item) > _OWN_REFERENCES + (depth == 0):
            return
        stack = parent
    elif made is None:
        if recording.tool != "none" or sys.getrefcount(item) > _OWN_REFERENCES:
            return
        stack = parent
    seen[id(item)] = number
    row = rows.setdefault(
        (stack, kind),
        {
            "stack": stack,
            "type": type_name(kind),
            "bytes": 0,
            "large": 0,
            "blocks": 0,
            "objects": 0,
        },
    )
    size = _size(item)
    row["bytes"] += size
    row["large"] += size if size > _SMALL else 0
    row["blocks"] += 2 if kind in (dict, list, set, bytearray) else 1
    row["objects"] += gc.is_tracked(item)
    children = referents(item) if kind not in _PLAIN else ()
    for child in children:
        _charge(child, stack, depth + 1, recording, rows, seen, number, budget)


_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None))
_OWN_REFERENCES = 5
"""References to what one other object holds, as `_charge` counts them: its own among them."""


def length_of(item: Any) -> int:
    """The number of items, whatever a type made from a container's says of itself."""
    if isinstance(item, dict):
        return dict.__len__(item)
    if isinstance(item, list):
        return list.__len__(item)
    return set.__len__(item) if isinstance(item, set) else collections.deque.__len__(item)


def _types_of_containers() -> frozenset[type]:
    """The types of `_SIZED`, and all that are made from them."""
    known: set[Any] = set(_SIZED)
    waiting: list[Any] = list(_SIZED)
    while waiting:
        for kind in type.__subclasses__(waiting.pop()):
            if kind not in known:
                known.add(kind)
                waiting.append(kind)
    return frozenset(known)


def _entry_bytes(item: Any, length: int, size: int) -> float:
    """What one more item takes in the container itself, on average."""
    if isinstance(item, (list, collections.deque)):
        return _POINTER
    own = size / max(1, length)
    return max(0.0, own - _NODE) if isinstance(item, collections.OrderedDict) else own


_POINTER = 8
_NODE = 40
"""Bytes of a node of an ordered dictionary: five pointers. `sys.getsizeof` counts them."""


def _size(item: Any) -> int:
    """`sys.getsizeof` without running code of the subject."""
    kind = type(item)
    if isinstance(getattr(kind, "__sizeof__", None), types.FunctionType):
        return object.__sizeof__(item)
    try:
        return sys.getsizeof(item)
    except Exception:  # a type's own idea of its size
        return 0


def type_name(kind: type) -> str:
    """The type as a reader knows it: "dict", "shop.Job"."""
    module = getattr(kind, "__module__", "builtins")
    name = getattr(kind, "__qualname__", repr(kind))
    return name if module == "builtins" else f"{module}.{name}"


def _containers(least: int) -> Iterator[Any]:
    """Every container alive of `least` items or more, and perhaps a few that are shorter.

    Those that the collector need not know are among them.
    """
    with Undisturbed():
        yield from _containers_among(gc.get_objects(), least)


def _containers_among(objects: list[Any], least: int) -> Iterator[Any]:
    untracked = sys.version_info < (3, 14)  # a dictionary of strings and numbers was, until then
    sized, sequences = _types_of_containers(), _SEQUENCES
    seen: set[int] = set()
    for start in range(0, len(objects), _CHUNK):
        chunk = objects[start : start + _CHUNK]
        # A call for each of a million short lists is dear, the more so in a process that is traced.
        for item in [
            item
            for item in chunk
            if type(item) in sized and (type(item) not in _PLAIN_SIZED or len(item) >= least)
        ]:
            if item is not objects:
                yield item
        if untracked:
            # One that grows is an attribute or a variable, not an item among others.
            holders = [
                item
                for item in chunk
                if type(item) not in sequences
                and not (type(item) is dict and len(item) > _MOST_NAMES)
            ]
            for item in referents(*holders):
                if type(item) is dict and not gc.is_tracked(item) and id(item) not in seen:
                    seen.add(id(item))
                    yield item


_SEQUENCES = frozenset((list, tuple, set, frozenset, collections.deque))
_MOST_NAMES = 5000
