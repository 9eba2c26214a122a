"""What each question of the host is answered with: one table of commands, whoever carries them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable
    from typing import Any

    from .session import Session

__all__ = ["answer", "trace_plan"]


def answer(session: Session, words: list[str], alive: Callable[[], bool]) -> dict[str, Any]:
    """What `words` ask for. A round ends early once nobody is `alive` to want its result."""
    command = words[0]
    try:
        if command == "round":
            return session.round(int(words[1]), float(words[2]), float(words[3]), alive)
        if command == "work":
            return session.work(int(words[1]), float(words[2]), alive)
        if command == "composition":
            return {"composition": session.composition()}
        if command == "read":
            return session.read()
        if command == "quick_sample":
            return {"quick_sample": session.reader.quick_sample()}
        if command == "peak":
            return {"peak": session.peak()}
        if command == "describe":
            return {"rows": session.describe(words[1])}
        if command == "freeze":
            return {"frozen": session.freeze()}
        if command == "trace_begin":
            return session.begin_trace(trace_plan(words[1]))
        if command == "trace_mark":
            return session.mark_trace()
        if command == "trace_end":
            return session.end_trace()
    except Exception as error:
        return {"error": session.error(error)}
    return {"error": "unknown question " + command}


def trace_plan(text: str) -> dict[str, Any]:
    """What is to be traced, as JSON; see `Tracing.begin`."""
    import json

    plan: dict[str, Any] = json.loads(text)
    return plan
