"""The one file of a multipart body, pushed to disk as it arrives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from reference_app.errors import Unreadable, WrongType

__all__ = ["FileField", "boundary_of", "safe_name"]

_MAX_NAME = 200
# What a part costs beside its bytes: a thousand empty fields are as much work as 128 KiB.
_PART_BYTES = 128
_EXTENDED_NAME = re.compile(rb"""filename\*\s*=\s*"?([\w-]*)'[\w-]*'([^\s;"]*)""", re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart body, from its header."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise WrongType(
            "Send the video as multipart/form-data, in a field named 'file'.", close=True
        )
    return boundary


def safe_name(name: str) -> str:
    """A client's file name as something to show: no folders, no control characters, no length.

    It is never used as a path.
    """
    base = PureWindowsPath(PurePosixPath(name).name).name
    shown = "".join(letter for letter in base if letter.isprintable()).strip()
    return shown[:_MAX_NAME] or "upload"


class FileField:
    """Finds the part named `file` in a body that is fed piece by piece.

    `on_begin(filename, content_type)` is called when the part begins; its bytes collect in
    `buffer`, which the caller empties after every piece. All that is not the file, other fields
    and headers, may come to `most_beside_bytes`: each is work for the one event loop.
    """

    def __init__(
        self, boundary: bytes, on_begin: Callable[[str, str], None], most_beside_bytes: int
    ) -> None:
        self.buffer = bytearray()
        self.found = False
        self.ended = False
        self._on_begin = on_begin
        self._beside_left = most_beside_bytes
        self._inside = False
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise WrongType(f"The multipart boundary cannot be used: {error}") from error

    def feed(self, piece: bytes) -> None:
        """Parse the next piece of the body."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise Unreadable(f"The multipart body is malformed: {error}") from error

    def _begin_part(self) -> None:
        self._count_beside(_PART_BYTES)
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_beside(end - start)
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_beside(end - start)
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        filename = _file_name(disposition, options)
        self._inside = options.get(b"name") == b"file" and filename is not None
        if not self._inside or filename is None:
            return
        if self.found:
            raise Unreadable("Send one file at a time; the field 'file' came twice.")
        self.found = True
        self._on_begin(filename, _text(self._headers.get(b"content-type", b"")))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self.buffer += data[start:end]
        else:
            self._count_beside(end - start)

    def _count_beside(self, size: int) -> None:
        self._beside_left -= size
        if self._beside_left < 0:
            raise Unreadable("There is too much in the form beside the file; send the file alone.")

    def _end_part(self) -> None:
        self._inside = False

    def _end(self) -> None:
        self.ended = True


def _file_name(disposition: bytes, options: dict[bytes, bytes]) -> str | None:
    """The name in `filename`, or else in `filename*` (RFC 8187); None where there is neither."""
    if b"filename" in options:
        return _text(options[b"filename"])
    extended = _EXTENDED_NAME.search(disposition)
    if extended is None:
        return None
    charset, name = (part.decode("latin-1") for part in extended.groups())
    return unquote(name, "latin-1" if charset.lower() == "iso-8859-1" else "utf-8")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
