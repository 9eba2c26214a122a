"""A callable in a process that lends itself: it repeats the workload and answers what it is asked.

That is pytest's process, where a test uses other processes. What is read of those has to be kept
somewhere, and would be growth in the very process that is measured.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leak_suite.errors import SubjectError
from leak_suite.subject.agents import AgentHub
from leak_suite.subject.inside import CallableSubject
from leak_suite.subject.process import AgentProcess
from leak_suite.subject.specs import NO_EXTRAS, Extras, Spec
from leak_suite.subject.talk import Talk

if TYPE_CHECKING:
    from leak_suite.subject.base import Subject

__all__ = ["LentSpec"]


class LentProcess(AgentProcess):
    """The process at the other end of `talk`: it was there before, and goes on afterwards."""

    def __init__(self, talk: Talk, pid: int, ready: Mapping[str, Any]) -> None:
        self._talk = talk
        self._pid = pid
        self.ready = dict(ready)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    def close(self) -> None:
        """Give it back; where it hangs, once it does not."""
        self._talk.say("stop")
        with contextlib.suppress(SubjectError):
            while self._talk.answer(None) != {"stopped": True}:
                pass


class LentSubject(CallableSubject):
    """The agents in its children stay, for the next check."""

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(SubjectError, AttributeError):
            self._processes.leave()
        super().__exit__(*exc)

    def _end_strays(self) -> None:
        """Nothing: what the tests have started is theirs to end."""


@dataclass(frozen=True)
class LentSpec(Spec):
    """The process `pid` for one check, at the other end of `talk`; its children know `hub`."""

    name: str
    pid: int
    ready: Mapping[str, Any]
    talk: Talk
    hub: AgentHub

    def __str__(self) -> str:
        return self.name

    def open(self, extras: Extras = NO_EXTRAS, /) -> Subject:
        """See Spec."""
        process = LentProcess(self.talk, self.pid, self.ready)
        return LentSubject(lambda _: process, extras, self.hub)

    def command(self) -> list[str]:
        """See Spec: no command line can name it."""
        return []
