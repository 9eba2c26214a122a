"""The host's end of the conversation with one agent: a line asks, a line of literals answers."""

from __future__ import annotations

import ast
import contextlib
import os
import selectors
import time
from collections.abc import Callable
from typing import Any

from leak_suite.errors import SubjectDied, SubjectError, SubjectHung

__all__ = ["Talk"]


class Talk:
    """Owns two pipe ends; the agent's are those of its `Wire`. `death` says why it is gone.

    It `is_heard` until an answer did not come: then the subject is still at work, and will not
    hear the next line before that is done.
    """

    def __init__(
        self, request_end: int, response_end: int, death: Callable[[], SubjectDied]
    ) -> None:
        self._request_end, self._response_end = request_end, response_end
        self._death = death
        self._buffer = b""
        self.is_heard = True

    def ask(self, question: str, seconds: float) -> dict[str, Any]:
        """The agent's answer; SubjectHung after `seconds`, SubjectDied if it is gone."""
        try:
            os.write(self._request_end, question.encode() + b"\n")
        except BrokenPipeError:
            raise self._death() from None
        answer = self.answer(seconds)
        if set(answer) == {"error"}:
            raise SubjectError(f"the agent could not answer: {answer['error']}")
        return answer

    def say(self, line: str) -> None:
        """Write a line, whether anybody listens or not."""
        with contextlib.suppress(OSError):
            os.write(self._request_end, line.encode() + b"\n")

    def answer(self, seconds: float | None) -> dict[str, Any]:
        """The next line; of None seconds, however long that takes."""
        until = None if seconds is None else time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._response_end, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                try:
                    left = None if until is None else max(0.0, until - time.monotonic())
                    ready = selector.select(left)
                except KeyboardInterrupt:
                    self.is_heard = False
                    raise
                if not ready:
                    self.is_heard = False
                    raise SubjectHung(f"the subject did not answer within {seconds:.0f} s")
                data = os.read(self._response_end, 1 << 20)
                if not data:
                    raise self._death()
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = ast.literal_eval(line.decode())
        return answer

    def close(self) -> None:
        """Close both ends."""
        os.close(self._request_end)
        os.close(self._response_end)
