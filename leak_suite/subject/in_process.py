"""A callable in this very process, measured by the same code as in a fresh interpreter."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from leak_suite.errors import SubjectError
from leak_suite.result import Row
from leak_suite.subject.agent_code import agent_module
from leak_suite.subject.base import About, ProcessComposition, Round, Values, Work
from leak_suite.subject.inside import about_of, round_of
from leak_suite.subject.processes import Coverage
from leak_suite.subject.routes import RoutesInUse
from leak_suite.subject.trace_data import TraceAnswer, TracePlan, TraceStart

if TYPE_CHECKING:
    from leak_suite.subject.specs import Extras, InProcessSpec

__all__ = ["InProcessSubject"]

Answer = TypeVar("Answer")
_PREWARM_READS = 10
_NO_AGENTS = Coverage(1, 1)


class InProcessSubject:
    """Borrows the process: a fresh temporary folder while entered, the collector thawed after.

    `own_fds` of its descriptors are the harness's own.
    """

    overhead_share = 1 / 75

    def __init__(self, spec: InProcessSpec, extras: Extras, own_fds: int = 0) -> None:
        self.about = About()
        self.routes = RoutesInUse()
        self._spec = spec
        self._tracked = extras.tracked
        self._counters = [f"{name}={place}" for name, place in extras.counters.items()]
        self._own_fds = own_fds
        self._session: Any = None

    def __enter__(self) -> InProcessSubject:
        self._before = (tempfile.tempdir, os.environ.get("TMPDIR"))
        self._folder = tempfile.mkdtemp(prefix="leak-suite-")
        tempfile.tempdir = os.environ["TMPDIR"] = self._folder
        try:
            session = self._session = agent_module("session").Session(self._folder, self._own_fds)
            checks = session.self_check()
            session.watch(self._tracked, self._counters)
            session.use(self._spec.function)
            names = getattr(self._spec.function, "__globals__", {})
            self.routes.declare(agent_module("target").declared_not_called(names))
            blind = dict(session.reader.blind)
            self.about = about_of({**session.about(), "self_check": checks, "blind": blind})
            for _ in range(_PREWARM_READS):
                self.round(0, seconds=0.0)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
        tempfile.tempdir, path = self._before
        if path is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = path
        shutil.rmtree(self._folder, ignore_errors=True)

    def lend(self, wire: Any, resident: Any) -> None:
        """Answer by `wire` what another process asks of this one, until it says stop.

        `resident`, if there is one, brings the agent into the children of this process.
        """
        self._session.on_trace = agent_module("resident").follow_last
        if resident is not None:
            resident.session = self._session  # by which a child knows what was frozen
        try:
            agent_module("serve").serve_requests(wire, self._session)
        finally:
            if resident is not None:
                resident.session = None

    def round(
        self,
        iterations: int,
        *,
        seconds: float,
        guard_factor: float = 1.0,
        timeout: float | None = None,
    ) -> Round:
        """See `Subject.round`. A workload that hangs here hangs us too: `timeout` has no use."""
        del timeout
        return round_of(self._session.round(iterations, seconds, guard_factor))

    def work(self, iterations: int, *, seconds: float) -> Work:
        """See `Subject.work`."""
        return Work(**self._session.work(iterations, seconds))

    def composition(self) -> dict[int, ProcessComposition]:
        """See `Subject.composition`."""
        return {os.getpid(): ProcessComposition("this process", 0, self._session.composition())}

    def read(self) -> Values:
        """See `Subject.read`."""
        values: Values = self._session.read()["values"]
        return values

    def describe(self, kind: str) -> list[Row]:
        """See `Subject.describe`."""
        rows: list[Row] = self._session.describe(kind)
        return rows

    def coverage(self) -> Coverage:
        """See `Subject.coverage`."""
        return _NO_AGENTS

    def freeze(self) -> int:
        """See `Subject.freeze`."""
        return int(self._session.freeze())

    def begin_trace(self, plan: TracePlan, process: str = "") -> TraceStart:
        """See `Subject.begin_trace`."""
        return self._trace(
            process, lambda: cast("TraceStart", self._session.begin_trace(dict(plan)))
        )

    def mark_trace(self, process: str = "") -> None:
        """See `Subject.mark_trace`."""
        self._trace(process, self._session.mark_trace)

    def end_trace(self, process: str = "") -> TraceAnswer:
        """See `Subject.end_trace`."""
        return self._trace(process, lambda: cast("TraceAnswer", self._session.end_trace()))

    def _trace(self, process: str, step: Callable[[], Answer]) -> Answer:
        if process:
            raise SubjectError(f"there is no agent in process {process}")
        try:
            return step()
        except Exception as error:  # as the wire reports it of another process
            raise SubjectError(f"the agent could not answer: {error}") from error
