"""Subjects with the agent inside, and the plain one: the agent repeats a callable and reads."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from leak_suite.result import Row
from leak_suite.subject.agents import AgentHub, Life
from leak_suite.subject.base import About, ProcessComposition, Round, Values, Work
from leak_suite.subject.command_lines import Strays
from leak_suite.subject.process import AgentProcess
from leak_suite.subject.processes import Coverage, Processes, ProcessReading, words_of
from leak_suite.subject.routes import RoutesInUse
from leak_suite.subject.trace_data import TraceAnswer, TracePlan, TraceStart

if TYPE_CHECKING:
    from leak_suite.subject.specs import Extras

__all__ = ["AgentSubject", "CallableSubject", "about_of", "agent_starter", "round_of"]

_READ_SECONDS = 30.0
_STOP_SECONDS = 5.0
_TRACE_SECONDS = 120.0
"""A limit for a process that hangs: on a busy machine, reading a trace may take long."""
_PREWARM_READS = 10
_OVERHEAD_WITH_CHILDREN = 0.25
_NO_ENVIRONMENT = {"self_check", "blind", "port", "routes", "not_called"}

S = TypeVar("S", bound="AgentSubject")


class AgentSubject(ABC):
    """Owns the process that `start` gives; the kinds differ in who repeats the workload.

    `start` is given the environment, with what brings the agent into the subject's children. They
    register with `hub`, one of its own by default.
    """

    overhead_share = 1 / 75

    def __init__(
        self,
        start: Callable[[Mapping[str, str]], AgentProcess],
        extras: Extras,
        hub: AgentHub | None = None,
    ) -> None:
        self.about = About()
        self.routes = RoutesInUse()
        self._start = start
        self._undisturbed = extras.undisturbed
        self._agent: AgentProcess | None = None
        self._hub = hub or AgentHub()

    def __enter__(self: S) -> S:
        self._hub.__enter__()
        try:
            self._agent = self._start(self._hub.environment(os.environ))
            self._processes = Processes(self._hub, self._agent.pid, driven=True)
            self.about = about_of(self._agent.ready)
            self._connect()
            if not self._undisturbed:
                self._prewarm()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        agent, self._agent = self._agent, None
        try:
            if agent is not None:
                agent.__exit__(*exc)
                self._end_strays()
        finally:
            self._hub.__exit__()

    def _end_strays(self) -> None:
        """End what has left the process group."""
        Strays(self._hub).end(_STOP_SECONDS)

    @abstractmethod
    def _connect(self) -> None:
        """Reach what is needed besides the process itself."""

    @abstractmethod
    def _prewarm(self) -> None:
        """Read until what reading itself keeps is full."""

    @property
    def agent(self) -> AgentProcess:
        """The running process; RuntimeError outside of `with`."""
        if self._agent is None:
            raise RuntimeError("the subject is not running; enter it first")
        return self._agent

    def begin_trace(self, plan: TracePlan, process: str = "") -> TraceStart:
        """See `Subject.begin_trace`."""
        if process:
            return self._processes.begin_trace(plan, process)
        answer = self._question(f"trace_begin {words_of(plan)}", _TRACE_SECONDS)
        return cast("TraceStart", answer)

    def mark_trace(self, process: str = "") -> None:
        """See `Subject.mark_trace`."""
        if process:
            self._processes.mark_trace(process)
        else:
            self._question("trace_mark", _TRACE_SECONDS)

    def end_trace(self, process: str = "") -> TraceAnswer:
        """See `Subject.end_trace`."""
        if process:
            return self._processes.end_trace(process)
        return cast("TraceAnswer", self._question("trace_end", _TRACE_SECONDS))

    def _question(self, question: str, seconds: float) -> dict[str, Any]:
        """The answer of the agent in the main process."""
        return self.agent.ask(question, seconds)

    def describe(self, kind: str) -> list[Row]:
        """See `Subject.describe`."""
        group, _, metric = kind.rpartition("@")
        if group:
            return self._processes.describe(group, metric)
        rows: list[Row] = self._question(f"describe {metric}", _READ_SECONDS).get("rows", [])
        return rows

    @abstractmethod
    def work(self, iterations: int, *, seconds: float) -> Work:
        """See `Subject.work`."""

    def composition(self) -> dict[int, ProcessComposition]:
        """See `Subject.composition`."""
        return self._processes.compositions(lambda: self._question("composition", _READ_SECONDS))

    def coverage(self) -> Coverage:
        """See `Subject.coverage`."""
        return self._processes.coverage()

    def _children(self, count: float | None) -> dict[Life, ProcessReading]:
        """What the other processes hold; `count` is how many children the main one has."""
        if count == 0 and not self._processes.other_agents():
            return {}
        return self._processes.read()


class CallableSubject(AgentSubject):
    """A callable in a fresh interpreter. Nothing of ours is imported there."""

    def _connect(self) -> None:
        """Nothing: the agent repeats the workload itself."""

    def _prewarm(self) -> None:
        """Ask for rounds of nothing until what asking itself keeps (malloc's bins) is full."""
        self.routes.declare(self.agent.ready.get("not_called", ()))
        for _ in range(_PREWARM_READS):
            self.round(0, seconds=0.0)

    def round(
        self,
        iterations: int,
        *,
        seconds: float,
        guard_factor: float = 1.0,
        timeout: float | None = None,
    ) -> Round:
        """See `Subject.round`."""
        wait = _READ_SECONDS + seconds if timeout is None else timeout
        question = f"round {iterations} {seconds:.6f} {guard_factor:.3f}"
        done = round_of(self.agent.ask(question, wait))
        started = time.perf_counter()
        processes = self._children(done.values.get("children"))
        if not processes:
            return done
        self.overhead_share = _OVERHEAD_WITH_CHILDREN
        overhead = done.overhead + time.perf_counter() - started
        return replace(done, overhead=overhead, processes=processes)

    def work(self, iterations: int, *, seconds: float) -> Work:
        """See `Subject.work`."""
        answer = self.agent.ask(f"work {iterations} {seconds:.6f}", _READ_SECONDS + seconds)
        return Work(**answer)

    def read(self) -> Values:
        """See `Subject.read`."""
        values: Values = self.agent.ask("read", _READ_SECONDS)["values"]
        return values

    def freeze(self) -> int:
        """See `Subject.freeze`."""
        self._processes.freeze()
        return int(self.agent.ask("freeze", _READ_SECONDS)["frozen"])


def agent_starter(
    keys: Mapping[str, str], python: Path | None, extras: Extras
) -> Callable[[Mapping[str, str]], AgentProcess]:
    """What starts the process of an AgentSubject, once it is given the environment."""

    def start(environment: Mapping[str, str]) -> AgentProcess:
        return AgentProcess(keys, python, extras, environment)

    return start


def about_of(ready: Mapping[str, Any]) -> About:
    """What the agent reported when it was ready."""
    environment = {k: v for k, v in ready.items() if k not in _NO_ENVIRONMENT}
    return About(environment, ready["self_check"], ready["blind"])


def round_of(answer: Mapping[str, Any]) -> Round:
    """A round as the agent reports it."""
    return Round(
        done=answer["done"],
        seconds=answer["seconds"],
        overhead=answer["overhead"],
        stop_reason=answer["stop_reason"],
        error=answer["error"],
        values=answer["values"],
    )
