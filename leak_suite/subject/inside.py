"""A callable in a fresh interpreter: the agent repeats it and reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from leak_suite.subject.base import About, Round, Values
from leak_suite.subject.process import AgentProcess
from leak_suite.subject.specs import CallableSpec, Trace

__all__ = ["CallableSubject", "round_of"]

_READ_SECONDS = 30.0
_REHEARSALS = 10


class CallableSubject:
    """Owns the process. The series come from inside; nothing of ours is imported there."""

    def __init__(
        self,
        spec: CallableSpec,
        *,
        tracked: Iterable[str] = (),
        counters: Mapping[str, str] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.about = About()
        self._spec = spec
        self._tracked = tuple(tracked)
        self._counters = [f"{name}={place}" for name, place in (counters or {}).items()]
        self._trace = trace
        self._agent: AgentProcess | None = None

    def __enter__(self) -> CallableSubject:
        keys = {"target": self._spec.target, "self_check": "0" if self._trace else "1"}
        self._agent = AgentProcess(
            keys,
            python=self._spec.python,
            tracked=self._tracked,
            counters=self._counters,
            trace=self._trace,
        )
        self.about = about_of(self._agent.ready)
        self._rehearse()
        return self

    def _rehearse(self) -> None:
        """Ask for rounds of nothing until what asking itself keeps (malloc's bins) is full."""
        for _ in range(_REHEARSALS):
            self.round(0, seconds=0.0)

    def __exit__(self, *exc: Any) -> None:
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.__exit__(*exc)

    @property
    def agent(self) -> AgentProcess:
        """The running process; RuntimeError outside of `with`."""
        if self._agent is None:
            raise RuntimeError("the subject is not running; enter it first")
        return self._agent

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

    def stop_trace(self) -> None:
        """Have the tracer write what it recorded."""
        self.agent.ask("stop_trace", 120.0)


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
