"""protobuf: a message is built, serialised, parsed and shown as JSON; a broken one is refused."""

import contextlib

from google.protobuf import json_format, struct_pb2
from google.protobuf.message import DecodeError


def job() -> None:
    """One message's life."""
    message = struct_pb2.Struct()
    message.update({f"key {n}": [n, str(n), {"deep": n}] for n in range(10)})
    again = struct_pb2.Struct()
    again.ParseFromString(message.SerializeToString())
    assert json_format.Parse(json_format.MessageToJson(again), struct_pb2.Struct()) == message
    with contextlib.suppress(DecodeError):
        struct_pb2.Struct().ParseFromString(b"\xff\xff\xff")
