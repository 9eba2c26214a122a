"""Traps memory in arenas: threads take turns at work that needs 8 MiB, and each keeps a little."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

THREADS = 14
_PIECES, _PIECE = (
    128,
    64 << 10,
)  # below the size from which the C library maps each block for itself
_workers = [ThreadPoolExecutor(1) for _ in range(THREADS)]
_kept: dict[int, bytes] = {}
_turns = itertools.cycle(range(THREADS))


def job() -> None:
    """The next thread does one piece of work."""
    turn = next(_turns)
    _workers[turn].submit(_work, turn).result()


def _work(turn: int) -> None:
    pieces = [bytes(_PIECE) for _ in range(_PIECES)]
    # The last answer is kept until the thread's next turn, and lies above all that is freed here.
    _kept[turn] = bytes(2000)
    del pieces
