"""The judge of a process that lends itself: run by it, at the other end of two pipes.

A line of that process asks for a check; the check ends with "stop", and then a line says what came
of it.
"""

from __future__ import annotations

import os
import pickle
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leak_suite.checks.check import check
from leak_suite.errors import LeakSuiteError, SubjectDied
from leak_suite.subject.agents import AgentHub
from leak_suite.subject.lent import LentSpec
from leak_suite.subject.talk import Talk

__all__ = ["main"]


def main(request_end: int, response_end: int, listener: int) -> None:
    """Judge whatever is asked for until the other process has ended.

    Of these descriptors two are for the talk with it, and `listener` is where the agents of its
    children wait. The environment variable `LEAK_SUITE_HUB` has that socket's name and the token.
    """
    address, token = os.environ["LEAK_SUITE_HUB"].split()
    talk = Talk(request_end, response_end, lambda: SubjectDied("the process has ended"))
    hub = AgentHub((address, token), socket.socket(fileno=listener))
    with hub:
        while True:
            try:
                job = talk.answer(None)
            except SubjectDied:
                return
            talk.say(repr(_judged(job, talk, hub)))


def _judged(job: Mapping[str, Any], talk: Talk, hub: AgentHub) -> dict[str, str]:
    """{"file": where the result is}, or what went wrong."""
    try:
        spec = LentSpec(job["name"], job["pid"], job["ready"], talk, hub)
        result = check(spec, pickle.loads(job["options"]))  # noqa: S301 - from our own parent
        result.write(Path(job["file"]))
    except LeakSuiteError as error:
        return {"kind": type(error).__name__, "text": str(error)}
    except Exception:
        return {"kind": "LeakSuiteError", "text": traceback.format_exc()}
    return {"file": job["file"]}
