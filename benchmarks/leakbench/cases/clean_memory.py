"""Clean: allocators, NumPy and pandas at work, with a bounded live set."""

from __future__ import annotations

import mmap
import random
import threading
from typing import Any

from benchmarks.leakbench.cases.case import Draw, Job, clean


@clean
def fragmentation(draw: Draw) -> Job:
    """Random sizes with a bounded number of survivors: the heap wanders."""
    kept: list[bytes] = [b""] * draw.size(50, 800)
    rng = draw.rng

    def job() -> None:
        for _ in range(20):
            body = bytes(int(2 ** rng.uniform(4, 16)))
            if rng.random() < 0.2:
                kept[rng.randrange(len(kept))] = body

    return job


@clean
def fragmentation_in_threads(draw: Draw) -> Job:
    """The same from several threads, each of which has an arena."""
    threads = draw.count(2, 4)
    kept: list[list[bytes]] = [[b""] * 64 for _ in range(threads)]
    sources = [random.Random(draw.count(0, 1 << 30)) for _ in range(threads)]  # noqa: S311

    def work(number: int) -> None:
        rng = sources[number]
        for _ in range(40):
            body = bytes(int(2 ** rng.uniform(4, 16)))
            if rng.random() < 0.15:
                kept[number][rng.randrange(64)] = body

    def job() -> None:
        running = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    return job


@clean
def random_temporaries(draw: Draw) -> Job:
    """Temporary objects of random number and size."""
    rng = draw.rng
    top = draw.size(2000, 200000)

    def job() -> None:
        bodies = [bytes(rng.randrange(1, top)) for _ in range(rng.randrange(1, 12))]
        bodies.reverse()

    return job


@clean
def bytearray_resized_in_place(draw: Draw) -> Job:
    """One buffer that grows and shrinks."""
    buffer = bytearray()
    rng = draw.rng
    top = draw.size(5000, 500000)

    def job() -> None:
        length = rng.randrange(1, top)
        if len(buffer) < length:
            buffer.extend(bytes(length - len(buffer)))
        else:
            del buffer[length:]

    return job


@clean
def string_building(draw: Draw) -> Job:
    """A text put together piece by piece."""
    pieces = draw.size(10, 400)

    def job() -> None:
        text = ""
        for n in range(pieces):
            text += f"piece {n} "
        text.encode().split()

    return job


@clean
def mappings_unmapped(draw: Draw) -> Job:
    """Anonymous mappings, touched and closed."""
    size = 4096 * draw.size(4, 512)

    def job() -> None:
        with mmap.mmap(-1, size) as mapping:
            mapping.write(b"x" * size)

    return job


@clean
def numpy_temporaries(draw: Draw) -> Job:
    """Expressions with temporaries, small enough that NumPy caches some of their buffers."""
    import numpy as np

    rng = draw.rng
    top = draw.size(100, 20000)

    def job() -> None:
        values = np.arange(rng.randrange(1, top), dtype=np.float64)
        (values * 2 + 1).sum()

    return job


@clean
def numpy_small_buffers(draw: Draw) -> Job:
    """Many live arrays of a few sizes at a time: NumPy's bounded cache of buffers fills."""
    import numpy as np

    rng = draw.rng
    count = draw.size(10, 300)

    def job() -> None:
        arrays = [np.empty(rng.randrange(1, 1000), dtype=np.uint8) for _ in range(count)]
        arrays.clear()

    return job


@clean
def pandas_drift(draw: Draw) -> Job:
    """Grouping and joining frames of changing length."""
    import numpy as np
    import pandas as pd

    rng = draw.rng
    top = draw.size(20, 500)

    def job() -> None:
        rows = rng.randrange(5, top)
        frame = pd.DataFrame({"key": np.arange(rows) % 7, "x": np.ones(rows)})
        frame.groupby("key")["x"].mean().to_dict()

    return job


@clean
def pandas_text(draw: Draw) -> Job:
    """Frames written as CSV. (Reading it is left out: pandas 2.3.3 leaks a block at each read.)"""
    import numpy as np
    import pandas as pd

    rng = draw.rng
    top = draw.size(5, 200)

    def job() -> None:
        rows = rng.randrange(2, top)
        pd.DataFrame({"n": np.arange(rows), "x": np.linspace(0, 1, rows)}).to_csv(index=False)

    return job


@clean
def frames_in_a_ring(draw: Draw) -> Job:
    """The last so many frames of a video."""
    import numpy as np

    ring: list[Any] = [None] * draw.count(2, 60)
    side = draw.size(16, 200)
    calls = 0

    def job() -> None:
        nonlocal calls
        ring[calls % len(ring)] = np.ones((side, side, 3), dtype=np.uint8)
        calls += 1

    return job


@clean
def large_body_dropped(draw: Draw) -> Job:
    """A large upload read whole, and dropped."""
    size = draw.size(1 << 18, 1 << 23)

    def job() -> None:
        len(b"x" * size)

    return job
