"""msgpack: a document is packed, streamed and unpacked; a broken one is refused."""

import contextlib

import msgpack

DOCUMENT = {"items": [{"name": f"item {n}", "data": b"x" * 20} for n in range(20)]}


def job() -> None:
    """One document's life."""
    packed = msgpack.packb(DOCUMENT)
    assert msgpack.unpackb(packed) == DOCUMENT
    stream = msgpack.Unpacker()
    stream.feed(packed * 3)
    assert len(list(stream)) == 3
    with contextlib.suppress(ValueError):
        msgpack.unpackb(packed[:-5])
