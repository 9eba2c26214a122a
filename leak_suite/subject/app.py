"""An ASGI application under uvicorn: the agent sits inside, the workload runs here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from leak_suite.errors import SubjectError, SubjectHung
from leak_suite.metrics import QuickSample
from leak_suite.metrics.process_tree import ProcessTree
from leak_suite.service_process import kill_group
from leak_suite.subject.agents import AgentLink
from leak_suite.subject.base import UNGUARDED, About, Round, Values, Work
from leak_suite.subject.inside import AgentSubject
from leak_suite.subject.process import AgentProcess
from leak_suite.subject.workload import Workload

if TYPE_CHECKING:
    from leak_suite.subject.specs import Extras

__all__ = ["AppSubject"]

_CONNECT_SECONDS = 10.0
"""The agent says that it is ready on the pipe, and connects at about the same time."""
_ANSWER_SECONDS = 1.0
_READ_SECONDS = 15.0
_PREWARM_READS = 10


class AppSubject(AgentSubject):
    """Owns server and client. What is read inside is unknown once the agent is silent."""

    overhead_share = 0.25

    def __init__(
        self,
        start: Callable[[Mapping[str, str]], AgentProcess],
        extras: Extras,
        workload: str,
        request_seconds: float,
    ) -> None:
        super().__init__(start, extras)
        self._target = workload
        self._request_seconds = request_seconds
        self._workload: Workload | None = None
        self._link: AgentLink | None = None
        self._silent = ""
        self._inside: tuple[str, ...] = ()
        self._overhead = 0.0

    def _connect(self) -> None:
        """Reach the server."""
        self._tree = ProcessTree(self.agent.pid)
        self._link = self._hub.wait_for(self.agent.pid, _CONNECT_SECONDS)
        self.routes.use_table(self.agent.ready.get("routes", ()))
        url = f"http://127.0.0.1:{self.agent.ready['port']}"
        self._workload = Workload(
            self._target,
            url,
            self._quick_sample,
            self._on_timeout,
            request_seconds=self._request_seconds,
            routes=self.routes,
        )

    def _prewarm(self) -> None:
        for _ in range(_PREWARM_READS):
            self.read()

    def __exit__(self, *exc: object) -> None:
        workload, self._workload = self._workload, None
        try:
            if workload is not None:
                workload.close()
            if self._link is not None:
                self._hub.ask([self._link], "stop", _ANSWER_SECONDS)
        finally:
            super().__exit__(*exc)

    def round(
        self,
        iterations: int,
        *,
        seconds: float,
        guard_factor: float = 1.0,
        timeout: float | None = None,
    ) -> Round:
        """See `Subject.round`."""
        assert self._workload is not None
        self._ask("peak")
        done, spent, stop_reason, error = self._workload.round(
            iterations, seconds=seconds, guard_factor=guard_factor, timeout=timeout
        )
        if error is not None and not self._tree.alive:
            raise self.agent.death()
        peak = self._ask("peak").get("peak")
        values = {**self.read(), "peak": peak}
        started = time.perf_counter()
        processes = self._children(values["children"])
        overhead = self._overhead + time.perf_counter() - started
        # By now it is written: servers answer first, and log then.
        output = "" if error is None else self.agent.last_error()
        return Round(done, spent, overhead, stop_reason, error, values, processes, output)

    def work(self, iterations: int, *, seconds: float) -> Work:
        """See `Subject.work`."""
        assert self._workload is not None
        found = self._workload.round(
            iterations, seconds=seconds, guard_factor=UNGUARDED, timeout=None
        )
        if found[3] is not None and not self._tree.alive:
            raise self.agent.death()
        return Work(*found)

    def read(self) -> Values:
        """See `Subject.read`. The tree's memory comes from outside."""
        self._ask("quick_sample")
        answer = self._ask("read", _READ_SECONDS)
        inside = answer.get("values")
        self._overhead = float(answer.get("overhead", 0.0))
        outside = self._tree.read()
        if inside is None:
            return {**dict.fromkeys(self._inside), **outside}
        self._inside = tuple(inside)
        return {**inside, "pss": outside["pss"], "children": outside["children"]}

    def freeze(self) -> int:
        """See `Subject.freeze`."""
        self._processes.freeze()
        return int(self._ask("freeze", _READ_SECONDS).get("frozen", 0))

    def _ask(self, question: str, seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
        """The answer; empty once the agent was silent: a late one would answer another question."""
        if self._silent:
            return {}
        try:
            return self._question(question, seconds)
        except SubjectHung as error:
            self._silent = f"the agent did not answer {question!r}: {error}"
            blind = dict.fromkeys(self._inside or ("heap", "blocks", "gc_objects"), self._silent)
            self.about = About(
                self.about.environment, self.about.self_check, {**self.about.blind, **blind}
            )
            return {}

    def _question(self, question: str, seconds: float) -> dict[str, Any]:
        """By the agent's own connection: it is apart from what the application does."""
        if self._link is None:
            raise SubjectHung("the agent has not connected")
        answer = self._hub.ask([self._link], question, seconds).get(self._link.life)
        if answer is None:
            if not self._tree.alive:
                raise self.agent.death()
            raise SubjectHung(f"the subject did not answer within {seconds:.0f} s")
        if set(answer) == {"error"}:
            raise SubjectError(f"the agent could not answer: {answer['error']}")
        return answer

    def _quick_sample(self) -> QuickSample:
        try:
            found: tuple[int, ...] | None = self._ask("quick_sample").get("quick_sample")
        except SubjectError:  # dead; the workload's next request will fail
            return QuickSample(0, 0, 0, 0, 0)
        return self._tree.quick_sample() if found is None else QuickSample(*found)

    def _on_timeout(self) -> None:
        kill_group(self.agent.pid)
