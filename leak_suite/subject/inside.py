"""Subjects with the agent inside, and the plain one: the agent repeats a callable and reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from leak_suite.errors import SubjectError
from leak_suite.subject.base import About, Round, Values
from leak_suite.subject.process import AgentProcess

__all__ = ["AgentSubject", "CallableSubject", "about_of", "round_of", "words_of"]

_READ_SECONDS = 30.0
_TRACE_SECONDS = 120.0
"""A limit for a process that hangs: on a busy machine, reading a trace may take long."""
_REHEARSALS = 10


S = TypeVar("S", bound="AgentSubject")


class AgentSubject:
    """Owns the process that `start` gives; the kinds differ in who repeats the workload."""

    def __init__(self, start: Callable[[], AgentProcess]) -> None:
        self.about = About()
        self._start = start
        self._agent: AgentProcess | None = None

    def __enter__(self: S) -> S:
        self._agent = self._start()
        try:
            self.about = about_of(self._agent.ready)
            self._prepare()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.__exit__(*exc)

    def _prepare(self) -> None:
        raise NotImplementedError

    @property
    def agent(self) -> AgentProcess:
        """The running process; RuntimeError outside of `with`."""
        if self._agent is None:
            raise RuntimeError("the subject is not running; enter it first")
        return self._agent

    def begin_trace(self, plan: Mapping[str, Any], process: str = "") -> dict[str, Any]:
        """See `Subject.begin_trace`."""
        return self._trace(process, f"trace_begin {words_of(plan)}")

    def mark_trace(self, process: str = "") -> dict[str, Any]:
        """See `Subject.mark_trace`."""
        return self._trace(process, "trace_mark")

    def end_trace(self, process: str = "") -> dict[str, Any]:
        """See `Subject.end_trace`."""
        return self._trace(process, "trace_end")

    def _trace(self, process: str, question: str) -> dict[str, Any]:
        if process:
            raise SubjectError(f"there is no agent in process {process}")
        return self.agent.ask(question, _TRACE_SECONDS)


class CallableSubject(AgentSubject):
    """A callable in a fresh interpreter. Nothing of ours is imported there."""

    def _prepare(self) -> None:
        """Ask for rounds of nothing until what asking itself keeps (malloc's bins) is full."""
        for _ in range(_REHEARSALS):
            self.round(0, seconds=0.0)

    def round(
        self, iterations: int, *, seconds: float, scale: float = 1.0, patience: float | None = None
    ) -> Round:
        """See `Subject.round`."""
        wait = _READ_SECONDS + seconds if patience is None else patience
        question = f"round {iterations} {seconds:.6f} {scale:.3f}"
        return round_of(self.agent.ask(question, wait))

    def read(self) -> Values:
        """See `Subject.read`."""
        values: Values = self.agent.ask("read", _READ_SECONDS)["values"]
        return values

    def detail(self, kind: str) -> list[Any]:
        """See `Subject.detail`."""
        rows: list[Any] = self.agent.ask(f"detail {kind}", _READ_SECONDS)["rows"]
        return rows

    def freeze(self) -> int:
        """See `Subject.freeze`."""
        return int(self.agent.ask("freeze", _READ_SECONDS)["frozen"])


def words_of(plan: Mapping[str, Any]) -> str:
    """The plan as one word of the wire: JSON without blanks."""
    return json.dumps(plan, separators=(",", ":")).replace(" ", "\\u0020")


def about_of(ready: Mapping[str, Any]) -> About:
    """What the agent told when it was ready."""
    environment = {k: v for k, v in ready.items() if k not in ("self_check", "blind", "port")}
    return About(environment, ready["self_check"], ready["blind"])


def round_of(answer: Mapping[str, Any]) -> Round:
    """A round as the agent tells it."""
    return Round(
        done=answer["done"],
        seconds=answer["seconds"],
        overhead=answer["overhead"],
        why=answer["why"],
        error=answer["error"],
        values=answer["values"],
    )
