"""The conversation with the host: a line asks, a line of Python literals answers."""

from __future__ import annotations

import os

__all__ = ["Wire"]


class Wire:
    """Two inherited pipe ends, which the subject's own children do not inherit.

    Without the host the process ends quietly, unless it is to `outlive` it: then BrokenPipeError.
    """

    def __init__(self, request_fd: int, response_fd: int, *, outlive: bool = False) -> None:
        self._request_fd, self._response_fd = request_fd, response_fd
        self._is_open = True
        self._outlive = outlive
        for fd in (request_fd, response_fd):
            os.set_inheritable(fd, False)
        if hasattr(os, "register_at_fork"):
            # A child would else keep the talk open after our death.
            os.register_at_fork(after_in_child=self.close)
        self._rest = b""

    def close(self) -> None:
        """Close both ends, once."""
        if self._is_open:
            self._is_open = False
            for fd in (self._request_fd, self._response_fd):
                os.close(fd)

    def ask(self) -> list[str] | None:
        """The next question's words; None when the host is gone."""
        while b"\n" not in self._rest:
            try:
                data = os.read(self._request_fd, 65536)
            except InterruptedError:
                continue
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode().split(" ")

    def answer(self, value: object) -> None:
        """Tell the host."""
        data = memoryview((repr(value) + "\n").encode("utf-8", "backslashreplace"))
        try:
            while data:
                data = data[os.write(self._response_fd, data) :]
        except BrokenPipeError:
            if self._outlive:
                raise
            os._exit(0)
