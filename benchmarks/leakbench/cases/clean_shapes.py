"""Clean: one step, first use, saw-teeth and drift that decays."""

from __future__ import annotations

import decimal
import importlib
import json
import locale
import logging
import sys
import time
from unittest import mock

from benchmarks.leakbench.cases.case import Draw, Job, clean


@clean
def one_big_step(draw: Draw) -> Job:
    """A model of some MiB, loaded once, in a call of seeded number."""
    model: list[bytes] = []
    at = draw.size(1, 1500)
    size = draw.size(1 << 18, 1 << 24)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            model.append(b"x" * size)

    return job


@clean
def several_steps(draw: Draw) -> Job:
    """A few resources loaded one after another, some tens or hundreds of calls apart."""
    resources: dict[int, list[bytes]] = {}
    steps = draw.count(2, 8)
    apart = draw.size(10, 300)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        number = min(calls // apart, steps)
        if number not in resources:
            resources[number] = [bytes(1000) for _ in range(200)]

    return job


@clean
def import_inside_the_job(draw: Draw) -> Job:
    """Modules imported by the call that first needs them."""
    names = ["xml.dom.minidom", "ftplib", "imaplib", "mailbox", "plistlib", "tabnanny"]
    every = draw.size(1, 200)
    calls = 0

    def job() -> None:
        nonlocal calls
        if calls % every == 0 and calls // every < len(names):
            importlib.import_module(names[calls // every])
        calls += 1

    return job


@clean
def drift_that_decays(draw: Draw) -> Job:
    """Growth that halves again and again: a pool that meets ever fewer new sizes."""
    rng = draw.rng
    pool: dict[int, bytearray] = {}
    kinds = draw.size(50, 600)
    shape = draw.count(2, 3)

    def job() -> None:
        # Small numbers often and large ones seldom, but from a finite range.
        kind = int(kinds * rng.random() ** shape)
        if kind not in pool:
            pool[kind] = bytearray(1024)

    return job


@clean
def high_water_buffer(draw: Draw) -> Job:
    """A scratch buffer as large as the largest request so far; requests have a limit."""
    rng = draw.rng
    buffer = bytearray()
    top = draw.size(10000, 1 << 20)

    def job() -> None:
        needed = int(top * rng.random())
        if needed > len(buffer):
            buffer.extend(bytes(needed - len(buffer)))

    return job


@clean
def decimal_contexts(draw: Draw) -> Job:
    """Exact arithmetic in contexts of its own."""
    digits = draw.count(5, 300)

    def job() -> None:
        with decimal.localcontext() as context:
            context.prec = digits
            (decimal.Decimal(1) / 7).sqrt()

    return job


@clean
def locale_and_time(draw: Draw) -> Job:
    """Dates formatted and parsed, with the caches that this fills."""
    formats = ["%d.%m.%Y", "%Y-%m-%dT%H:%M", "%j %H", "%a %d %b"][: draw.count(1, 4)]
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        pattern = formats[calls % len(formats)]
        time.strptime(time.strftime(pattern, time.gmtime(calls)), pattern)
        locale.localeconv()

    return job


@clean
def recorder_that_is_reset(draw: Draw) -> Job:
    """A recording of calls, reset every so often."""
    recorder = mock.Mock()
    period = draw.size(3, 300)
    calls = 0

    def job() -> None:
        nonlocal calls
        calls += 1
        recorder(calls, body="x" * 100)
        if calls % period == 0:
            recorder.reset_mock()

    return job


@clean
def records_held_by_a_memory_handler(draw: Draw) -> Job:
    """Log records gathered, and flushed together."""
    held: list[logging.LogRecord] = []
    capacity = draw.size(10, 1000)
    logger = logging.getLogger("leakbench.memory")
    logger.propagate = False

    class Gather(logging.Handler):
        """Keeps records up to its capacity."""

        def emit(self, record: logging.LogRecord) -> None:
            held.append(record)
            if len(held) >= capacity:
                held.clear()

    logger.addHandler(Gather())

    def job() -> None:
        logger.warning("a thing happened: %s", len(held))

    return job


@clean
def two_saw_teeth(draw: Draw) -> Job:
    """Two buffers with periods that do not divide each other."""
    short: list[bytes] = []
    long: list[bytes] = []
    short_period = draw.size(7, 100)
    long_period = draw.size(150, 1500)
    size = draw.size(64, 2048)

    def job() -> None:
        short.append(bytes(size))
        long.append(bytes(size))
        if len(short) >= short_period:
            short.clear()
        if len(long) >= long_period:
            long.clear()

    return job


@clean
def modules_reloaded(draw: Draw) -> Job:
    """A template compiled and entered in `sys.modules` under the same name each time."""
    source = "\n".join(f"def part_{n}(x):\n    return x + {n}" for n in range(draw.count(1, 10)))
    kind = type(sys)

    def job() -> None:
        module = kind("leakbench_template")
        exec(compile(source, "<template>", "exec"), module.__dict__)
        sys.modules[module.__name__] = module

    return job


@clean
def counters_of_distinct_things(draw: Draw) -> Job:
    """Statistics by route and status: a small product, met little by little."""
    rng = draw.rng
    counts: dict[str, int] = {}
    routes = draw.size(3, 60)

    def job() -> None:
        key = json.dumps({"route": rng.randrange(routes), "status": rng.choice([200, 404, 500])})
        counts[key] = counts.get(key, 0) + 1

    return job
