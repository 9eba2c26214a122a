"""A process that runs already, and goes on running."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from leak_suite.errors import SubjectError
from leak_suite.metrics.process_tree import ProcessTree
from leak_suite.subject.agents import AgentHub, life_of
from leak_suite.subject.attach import Attachment
from leak_suite.subject.processes import Processes
from leak_suite.subject.watched import WatchedSubject
from leak_suite.subject.workload import needs_client

if TYPE_CHECKING:
    from leak_suite.subject.specs import Extras, PidSpec

__all__ = ["PidSubject"]

_ENTER_SECONDS = 5.0
_POLL_SECONDS = 0.05


class PidSubject(WatchedSubject):
    """It and what it starts, with the agent inside for so long where Python lets it in.

    A workload that takes a client finds its port.
    """

    def __init__(self, spec: PidSpec, extras: Extras) -> None:
        super().__init__(spec.workload, spec.request_seconds)
        self._spec = spec
        self._undisturbed = extras.undisturbed
        self._hub = AgentHub()
        self._attachment = Attachment(self._hub)

    def __enter__(self) -> PidSubject:
        try:
            tree = ProcessTree(self._spec.pid)
        except psutil.Error as error:
            raise SubjectError(f"there is no process {self._spec.pid} to look at") from error
        base_url = self._spec.base_url
        if base_url is None and self._spec.workload and needs_client(self._spec.workload):
            port = tree.listening_port()
            if port is None:
                raise SubjectError(
                    f"process {self._spec.pid} listens on no port to drive, and the workload "
                    f"{self._spec.workload} takes a client: leave its parameter out, or watch "
                    "without a workload"
                )
            base_url = f"http://127.0.0.1:{port}"
        self._hub.__enter__()
        try:
            processes = Processes(self._hub, self._spec.pid, attachment=self._attachment)
            processes.attach()
            self._tree = tree
            if self._target is not None:
                self._workload = self._make_workload(base_url)
            self._wait_for_agents()
            if self._hub.links():
                self._watch(tree, base_url, processes, undisturbed=self._undisturbed)
            else:  # as any program that no agent can be in
                self._watch(tree, base_url)
                self._say_why()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_for_agents(self) -> None:
        """Call the workload meanwhile: a main thread that waits for work runs no Python until then.

        Any that come later are taken in as they do.
        """
        until = time.monotonic() + _ENTER_SECONDS
        failed = self._workload is None
        while self._attachment.is_awaited() and time.monotonic() < until:
            if not failed:
                assert self._workload is not None
                _, _, _, error = self._workload.round(
                    1, seconds=1.0, guard_factor=1e9, timeout=None
                )
                failed = error is not None  # the run itself will say so
            self._attachment.wait(_POLL_SECONDS)

    def _say_why(self) -> None:
        found = life_of(self._spec.pid)
        why = "" if found is None else self._attachment.why_not(found[0])
        if why:
            seen = f"from outside only: {why}"
            self.about = replace(self.about, environment={**self.about.environment, "seen": seen})

    def __exit__(self, *exc: object) -> None:
        try:
            super().__exit__(*exc)
        finally:
            self._attachment.leave()
            self._hub.__exit__()

    def _raise_if_dead(self) -> None:
        if self._tree is not None and not self._tree.alive:
            raise SubjectError(f"process {self._spec.pid} ended while it was measured")
