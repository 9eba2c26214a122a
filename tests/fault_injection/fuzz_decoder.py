"""Reads mutated videos as a job would, each in a confined child of this process.

`python -m tests.fault_injection.fuzz_decoder SEED COUNT MIB` prints, after each thousand and at the
end, how the inputs ended so far, and those on which a child took more than MIB, crashed, was too
slow or failed in its own code. What becomes of files and of the service is seen by `fuzz_service`.
"""

from __future__ import annotations

import gc
import io
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fixtures.clips import clip
from reference_app.memory.allocator import configure_memory
from reference_app.pipeline.budget import MIB, MemoryBudget, confine
from reference_app.pipeline.errors import PipelineError

__all__ = ["mutated", "sources"]

COMPLETED, REFUSED, BROKEN = 0, 10, 11
MAY_HAPPEN = {"completed", "refused"}
SECONDS = 30
REPORT_EVERY = 1000
#: Pages of libraries and of the file that a child touches first are its own, and no allocation.
MAPPED_BYTES = 24 * MIB
NUMBERS = (0, 1, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def sources() -> list[bytes]:
    """Small videos in the containers that are taken, most of them structure."""
    import av

    found = []
    h264 = clip(width=320, height=240, seconds=0.3).path
    mpeg4 = clip(width=320, height=240, seconds=0.3, codec="mp4v").path
    for kind in ("mp4", "matroska", "avi", "mpegts"):
        made = mpeg4 if kind == "avi" else h264
        target = io.BytesIO()
        with av.open(str(made)) as read, av.open(target, "w", format=kind) as write:
            stream = read.streams.video[0]
            copy = write.add_stream_from_template(stream)
            for packet in read.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    write.mux(packet)
        found.append(target.getvalue())
    return found


def mutated(seed: str, originals: list[bytes]) -> bytes:
    """One input; the same seed, the same bytes.

    Half of the changes fall on names of boxes, elements and parameter sets and what follows
    them, for that is where sizes, counts and lengths are.
    """
    chance = random.Random(seed)
    data = bytearray(chance.choice(originals))
    for _ in range(chance.randint(1, 4)):
        at = _place(chance, data)
        match chance.choice(("number", "number", "flip", "cut", "repeat", "splice")):
            case "number":
                data[at : at + 4] = chance.choice(NUMBERS).to_bytes(4, "big")
            case "flip":
                for place in range(at, min(len(data), at + chance.choice((1, 4, 64)))):
                    data[place] ^= 1 << chance.randrange(8)
            case "cut":
                del data[at : at + chance.choice((1, 4, 100, len(data)))]
            case "repeat":
                data[at:at] = data[at : at + chance.randrange(1, 400)] * chance.choice((1, 2, 50))
            case _:
                other = chance.choice(originals)
                start = chance.randrange(len(other))
                data[at : at + 100] = other[start : start + chance.randrange(1, 1000)]
        if not data:
            return b"\0"
    return bytes(data)


def _place(chance: random.Random, data: bytearray) -> int:
    marks = [b"stsz", b"stts", b"stco", b"stsc", b"avcC", b"tkhd", b"stsd", b"elst", b"avc1"]
    marks += [b"\x42\x86", b"\xae", b"\xe0", b"\x16\x54\xae\x6b", b"idx1", b"strh", b"\0\0\1\x67"]
    found = data.find(chance.choice(marks))
    if found < 0 or chance.random() < 0.5:
        return chance.randrange(len(data))
    return min(len(data) - 1, found + chance.randrange(-8, 40)) if found >= 8 else found


def _read(path: Path, mib: int) -> int:
    """What a child does: everything of a job but the detector and the encoder."""
    from reference_app.pipeline.decode import FrameReader
    from reference_app.pipeline.probe import probe

    signal.alarm(SECONDS)
    confine(mib * MIB)
    budget = MemoryBudget(mib * MIB)
    try:
        found = probe(path, max_pixels=1920 * 1088)
        limits = {"width": 720, "max_pixels": 1920 * 1088, "max_duration_seconds": 1.0}
        with FrameReader(found, budget=budget, **limits) as reader:  # type: ignore[arg-type]
            for _ in reader:
                pass
    except (PipelineError, MemoryError):
        return REFUSED
    except Exception as error:
        print(repr(error), file=sys.stderr)
        return BROKEN
    return COMPLETED


def _end_of(status: int) -> str:
    """How a child ended, in a word; only the first two are what may happen."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return "too slow" if code == -signal.SIGALRM else signal.Signals(-code).name
    return {COMPLETED: "completed", REFUSED: "refused", BROKEN: "broken"}.get(code, f"exit {code}")


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def main(seed: str, count: int, mib: int) -> None:
    """Read `count` inputs; a line of JSON after each thousand, and the last for all of them."""
    import av
    import av.video.reformatter
    import numpy  # noqa: F401  # loaded once here, not by every child

    import reference_app.pipeline.decode  # noqa: F401

    configure_memory()
    av.logging.set_level(av.logging.PANIC)
    originals = sources()
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        for number in range(count):
            name = f"{seed}/{number}"
            path.write_bytes(mutated(name, originals))
            before = _resident_bytes()
            child = os.fork()
            if child == 0:
                os._exit(_read(path, mib))
            _, status, usage = os.wait4(child, 0)
            end = _end_of(status)
            ends[end] += 1
            grown = usage.ru_maxrss * 1024 - before
            if end not in MAY_HAPPEN or grown > mib * MIB + MAPPED_BYTES:
                wrong.append(f"{name}: {end}, {grown // MIB} MiB")
            if (number + 1) % REPORT_EVERY == 0 or number + 1 == count:
                found = {"inputs": number + 1, "ends": ends, "wrong": wrong}
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
