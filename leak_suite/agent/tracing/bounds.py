"""What bounds a container: a number beside it, its own, or code that empties it at times.

Nothing of the subject is called: attributes are read from dictionaries and slots, code from
bytecode.
"""

from __future__ import annotations

import collections
import dis
import functools
import gc
import re
import sys
import types

from ..objects import Undisturbed, referents

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Bounds", "newest_cached"]

_LRU_CACHE = type(functools.lru_cache(lambda: None))
_BOUND_NAMES = frozenset(
    ("maxsize", "maxlen", "maxlength", "capacity", "maxentries", "maxitems", "maxcount")
)
"""Attributes that bound what stands beside them, without underscores and in small letters."""
_FILL_NAMES = frozenset(("currsize", "cursize", "currentsize", "size", "used", "nbytes"))
"""How full it is, where the bound does not count entries."""
_NO_OWNERS = (
    list, tuple, set, frozenset, type, types.ModuleType, types.FrameType, types.FunctionType,
    types.CellType, types.MethodType, types.GeneratorType, types.CoroutineType,
)  # fmt: skip
_PLAIN = frozenset((dict, list, set, collections.deque, collections.OrderedDict))
_QUEUE_MODULES = frozenset(("queue", "asyncio.queues"))
"""Their classes keep to `maxsize` in ways that their code does not show at a glance."""
_MOST_ATTRIBUTES = 500
_CALLS_DEEP = 2
"""How many calls below an inserting function code is looked at."""
_WHOLE = frozenset(("clear", "popitem"))
_ENTRYWISE = frozenset(("pop", "popleft", "remove", "discard"))
"""They only bound a container where the same function looks at its length or goes through it."""
_BEGINNINGS = frozenset(("__init__", "__new__", "__post_init__", "<module>"))
_UNIMPORTANT = frozenset(("CACHE", "PUSH_NULL", "PRECALL", "NOP", "RESUME", "EXTENDED_ARG"))


class Bounds:
    """Looks at several containers at once: each look at the whole heap is dear."""

    def __init__(self, items: Iterable[Any], is_own: Callable[[str], bool]) -> None:
        items = list(items)
        self._is_own = is_own
        self._owners: dict[int, list[Any]] = {id(item): [] for item in items}
        self._functions: list[types.FunctionType] | None = None
        ours = (items, self._owners)
        modules = {id(vars(m)) for m in list(sys.modules.values()) if type(m) is types.ModuleType}
        with Undisturbed():
            owners = [
                referrer
                for referrer in (gc.get_referrers(*items) if items else ())
                if not isinstance(referrer, _NO_OWNERS)
                and id(referrer) not in modules
                and not any(referrer is one for one in ours)
            ]
        for owner in owners:
            for child in _held(owner):
                if id(child) in self._owners:
                    self._owners[id(child)].append(owner)

    def cache_of(self, item: Any) -> Any:
        """The `functools` cache whose table the container is, or None."""
        owners = self._owners.get(id(item), ())
        return next((owner for owner in owners if type(owner) is _LRU_CACHE), None)

    def of(self, item: Any, length: int) -> tuple[int | None, str]:
        """(the most entries, what says so), or (None, "")."""
        if isinstance(item, collections.deque):
            most = collections.deque.maxlen.__get__(item)
            if most is not None:
                return most, "maxlen"
        for owner in (item, *self._owners.get(id(item), ())):
            if type(owner) is _LRU_CACHE:
                most = _LRU_CACHE.cache_info(owner).maxsize
                return (None, "") if most is None else (most, "maxsize")
            if owner is item and type(item) in _PLAIN:
                continue
            found = _number_beside(owner, _BOUND_NAMES)
            if found is None or not _is_kept_to(owner, item, found[1]):
                continue
            most, name = found
            fill = _number_beside(owner, _FILL_NAMES)
            if fill is not None and length != fill[0] <= most:  # it counts something else
                most = most * length // fill[0]
            return most, _without_class(name)
        return None, ""

    def emptied(
        self, path: str, stacks: Iterable[Iterable[tuple[str, int, str]]]
    ) -> tuple[list[str], int | None]:
        """Where code that the inserting `stacks` go through empties what `path` names.

        That is ("file:line" of each place, the length from which on it does so or None).
        """
        name = _name_in(path)
        if not name:
            return [], None
        places: list[str] = []
        limits: list[int] = []
        for function in self._reached(stacks):
            taken = _taken_out_in(function.__code__, name, function.__globals__)
            places += [f"{function.__code__.co_filename}:{line}" for line in taken.lines]
            limits += taken.limits if taken.lines else []
        return list(dict.fromkeys(places)), max(limits, default=None)

    def _reached(
        self, stacks: Iterable[Iterable[tuple[str, int, str]]]
    ) -> list[types.FunctionType]:
        """Own functions on the stacks and in running threads, and what they call by name."""
        if self._functions is None:
            with Undisturbed():
                self._functions = [
                    item
                    for item in gc.get_objects()
                    if type(item) is types.FunctionType and self._is_own(item.__code__.co_filename)
                ]
        frames = {(file, name) for stack in stacks for file, _, name in stack}
        for frame in list(sys._current_frames().values()):
            current: types.FrameType | None = frame
            while current is not None:
                frames.add((current.f_code.co_filename, current.f_code.co_name))
                current = current.f_back
        reached = {
            id(item.__code__): item
            for item in self._functions
            if (item.__code__.co_filename, item.__code__.co_name) in frames
        }
        for _ in range(_CALLS_DEEP):
            called = {name for item in reached.values() for name in item.__code__.co_names}
            for item in self._functions:
                if item.__code__.co_name in called:
                    reached.setdefault(id(item.__code__), item)
        return list(reached.values())


def newest_cached(cache: Any, table: dict[Any, Any], most: int) -> list[tuple[Any, ...]]:
    """(key, link, result) of the newest entries of a `functools` cache.

    A link refers to its result, but does not tell the collector; the cache does. Empty where the
    results cannot be distinguished.
    """
    newest = [(key, dict.get(table, key)) for key, _ in zip(dict.__reversed__(table), range(most))]  # noqa: B905 - 3.9
    held = referents(cache)[-4 * most - 16 :]
    found: list[tuple[Any, ...]] = []
    for key, link in newest:
        at = next((i for i in range(len(held) - 2, -1, -1) if held[i] is key), None)
        if at is None:
            return []
        found.append((key, link, held[at + 1]))
    return found


def _held(owner: Any) -> list[Any]:
    """What an owner refers to; of one with very many entries nothing: it is no owner."""
    if type(owner) is dict and len(owner) > _MOST_ATTRIBUTES:
        return []
    return referents(owner)


def _number_beside(owner: Any, names: frozenset[str]) -> tuple[int, str] | None:
    """A whole number above zero under one of the names, and the name as it is written."""
    for name, value in _attributes(owner):
        if type(name) is not str or type(value) is not int or value <= 0:
            continue
        if _without_class(name).replace("_", "").lower() in names:
            return value, name
    return None


def _without_class(name: str) -> str:
    """The name of a private attribute as its class writes it, without underscores in front."""
    plain = re.sub(r"^_\w+?__(?=\w)", "", name) if name.startswith("_") else name
    return plain.strip("_")


def _is_kept_to(owner: Any, item: Any, bound: str) -> bool:
    """Whether the owner's class looks at the bound and takes out of the container.

    A number beside a container need not be its own.
    """
    if type(owner) is dict:  # of an instance; another dictionary has no code
        holders = gc.get_referrers(owner)
        found = [one for one in holders if not isinstance(one, _NO_OWNERS) and _is_of(one, owner)]
        if not found:
            return False
        owner = found[0]
    if type(owner).__module__ in _QUEUE_MODULES:
        return True
    name = "" if owner is item else next((k for k, v in _attributes(owner) if v is item), None)
    if name is None:
        return False
    looked_at = taken_out = False
    for kind in type(owner).__mro__:
        for method in list(vars(kind).values()):
            if type(method) is not types.FunctionType or method.__name__ in _BEGINNINGS:
                continue
            code = method.__code__
            looked_at = looked_at or bound in code.co_names
            own = name or (code.co_varnames[0] if code.co_argcount else "")
            taken_out = taken_out or _taken_out_in(code, own, {}).somewhere
    return looked_at and taken_out


def _is_of(owner: Any, attributes: dict[Any, Any]) -> bool:
    """Whether the dictionary is the one of that instance."""
    try:
        return object.__getattribute__(owner, "__dict__") is attributes
    except Exception:  # it has none
        return False


def _attributes(owner: Any) -> list[tuple[Any, Any]]:
    """(name, value) of an instance's attributes and slots and its classes' own."""
    try:
        if type(owner) is dict:
            return list(owner.items())
        found: list[tuple[Any, Any]] = []
        try:
            attributes = object.__getattribute__(owner, "__dict__")
        except Exception:  # it has none
            attributes = None
        if type(attributes) is dict:
            found += attributes.items()
        for kind in type(owner).__mro__:
            for name, value in list(vars(kind).items()):
                if isinstance(value, types.MemberDescriptorType):
                    try:
                        found.append((name, value.__get__(owner)))
                    except AttributeError:
                        continue
                else:
                    found.append((name, value))
    except RuntimeError:  # another thread works on it
        return []
    return found


def _name_in(path: str) -> str:
    """The name that code uses for what a path leads to; empty where it has none of its own."""
    local = re.match(r"(\w+) of \S+\(\) at ", path)
    if local:
        return local.group(1)
    named = re.search(r"\.([A-Za-z_]\w*)$", path)
    return named.group(1) if named else ""


class _TakenOut:
    """What a function takes out of a container.

    `lines` where it does so whatever is in it, or because of its length or of what it goes
    through; `somewhere`: it takes out at all; `limits` are numbers that the length is compared
    with.
    """

    def __init__(self, lines: list[int], somewhere: bool, limits: list[int]) -> None:
        self.lines = lines
        self.somewhere = somewhere
        self.limits = limits


def _taken_out_in(code: types.CodeType, name: str, variables: dict[str, Any]) -> _TakenOut:
    """What code takes out of the container that it names `name`."""
    if name not in (*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars):
        return _TakenOut([], False, [])
    whole: list[int] = []
    entrywise: list[int] = []
    limits: list[int] = []
    looked_at = False
    names = {name}
    line = code.co_firstlineno
    steps = [step for step in dis.get_instructions(code) if step.opname not in _UNIMPORTANT]
    lines = dict(dis.findlinestarts(code))
    for at, step in enumerate(steps):
        line = lines.get(step.offset) or line
        before = steps[max(0, at - 3) : at]
        after = steps[at + 1 : at + 4]
        following = after[0].opname if after else ""
        if step.opname == "DELETE_SUBSCR":
            entrywise.append(line)
        elif step.opname in ("STORE_GLOBAL", "STORE_ATTR", "STORE_DEREF") and step.argval == name:
            new = any(one.opname.startswith("BUILD_") and one.arg == 0 for one in before[-2:])
            if new and code.co_name not in _BEGINNINGS:
                whole.append(line)
        if not step.opname.startswith("LOAD_") or step.argval not in names:
            continue
        if following in ("LOAD_ATTR", "LOAD_METHOD") and after[0].argval in _WHOLE:
            whole.append(line)
        elif following in ("LOAD_ATTR", "LOAD_METHOD") and after[0].argval in _ENTRYWISE:
            entrywise.append(line)
        elif following == "STORE_FAST":
            names.add(after[0].argval)
        elif following in ("GET_ITER", "TO_BOOL") or following.startswith("POP_JUMP"):
            looked_at = True
        elif any(one.argval in ("len", "list", "sorted", "tuple") for one in before):
            looked_at = True
            # len(name) <call> number <compare>
            if len(after) == 3 and after[2].opname == "COMPARE_OP":
                number = after[1].argval
                if after[1].opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                    number = variables.get(number)
                if type(number) is int and number > 0:
                    limits.append(number)
    taken = whole + (entrywise if looked_at else [])
    return _TakenOut(taken, bool(whole or entrywise), limits)
