"""What helps against each cause, in sentences and in lines to copy."""

from __future__ import annotations

from leak_suite.explain.result import Word
from leak_suite.explain.word import Answer

__all__ = ["remedy"]

_FREEZE = (
    "import gc",
    "gc.collect()",
    "gc.freeze()  # in the parent, right before it forks",
    "# gunicorn: preload_app = True, and in its configuration file",
    "def pre_fork(server, worker): gc.freeze()",
)
_ARENAS = ("MALLOC_ARENA_MAX=2  # in the environment, before Python starts",)
_CACHE = (
    "import os",
    "os.fdatasync(fd)",
    "os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # after a large file was written or read",
)


def remedy(found: Answer, line: str) -> tuple[str, tuple[str, ...]]:
    """(what helps, the lines to copy); `line` is the place that the run named, if it did."""
    if found.word is Word.LEAK:
        where = f"Mend {line}" if line else "Find what holds it and let it go"
        return (
            f"{where}: no allocator setting frees what is in use. Until then replace workers in "
            "time: `leak-suite advise`.",
            (),
        )
    if found.word is Word.FILLING:
        return ("Nothing, if its full size fits; else give the container a smaller bound.", ())
    if found.word is Word.ALLOCATOR and found.part == "python_kept":
        return (
            "Python's allocator gives an arena back only when all in it is freed. Make the peak "
            "smaller (in parts instead of all at once), or do such work in a process that ends.",
            (),
        )
    if found.word is Word.ALLOCATOR:
        return (
            "Fewer arenas: each thread that allocates has one of its own otherwise, which keeps "
            "what it once needed. `leak-suite explain --try-remedies` tries that and others.",
            _ARENAS,
        )
    if found.word is Word.FORK_COPIES:
        return (
            "Freeze the parent's objects before it forks: a collection in a child writes to each "
            "object that it looks at, and so copies its page. Reference counts copy pages too; "
            "what children only read is better kept in few large objects.",
            _FREEZE,
        )
    if found.word is Word.PAGE_CACHE:
        return (
            "Nothing has to be freed: the kernel takes this back when the group meets its limit. "
            "Alarm on anonymous and kernel memory instead of usage. To keep the cache small, give "
            "back what will not be read again.",
            _CACHE,
        )
    return ("", ())
