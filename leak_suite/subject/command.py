"""Any command, started here with the agent in each of its Python processes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.service_process import ServiceProcess
from leak_suite.subject.agents import AgentHub
from leak_suite.subject.command_lines import Strays
from leak_suite.subject.processes import Processes
from leak_suite.subject.watched import WatchedSubject
from leak_suite.subject.workload import needs_client

if TYPE_CHECKING:
    from leak_suite.subject.specs import CommandSpec, Extras

__all__ = ["CommandSubject"]

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02
_SETTLE_SECONDS = 0.3
"""A command without a port and without a text to wait for has so long to fail at once."""


class CommandSubject(WatchedSubject):
    """Owns the process group that the command runs in, and its daemons; they end with us."""

    def __init__(self, spec: CommandSpec, extras: Extras) -> None:
        super().__init__(spec.workload, spec.request_seconds)
        self._spec = spec
        self._extras = extras
        self._hub = AgentHub()
        self._service: ServiceProcess | None = None

    def __enter__(self) -> CommandSubject:
        port_needed = self._target is not None and needs_client(self._target)
        self._hub.__enter__()
        try:
            self._service = ServiceProcess(
                self._spec.argv,
                folder=self._spec.folder,
                environment=self._hub.environment(
                    {**os.environ, **dict(self._spec.environment), **self._extras.environment}
                ),
            )
            self._tree = self._service.tree
            self._wait_until_ready(port_needed)
            processes = Processes(self._hub, self._service.pid)
            self._watch(
                self._service.tree,
                self._base_url(port_needed),
                processes,
                undisturbed=self._extras.undisturbed,
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        service, self._service = self._service, None
        try:
            super().__exit__(*exc)
        finally:
            try:
                if service is not None:
                    service.stop(_STOP_SECONDS)
                    Strays(self._hub).end(_STOP_SECONDS)
            finally:
                self._hub.__exit__()

    def _wait_until_ready(self, port_needed: bool) -> None:
        """It listens, or has written the text to wait for, or a first call of the workload works.

        Raises:
            SubjectError: it ended, or was not ready in time.
        """
        assert self._service is not None
        if self._spec.ready_when:
            self._wait_for_text(self._spec.ready_when)
        if port_needed:
            self._service.wait_until_listening(_START_SECONDS)
        elif not self._spec.ready_when:
            self._wait_for_first_call()

    def _wait_for_text(self, text: str) -> None:
        assert self._service is not None
        until = time.monotonic() + _START_SECONDS
        while text not in self._service.output():
            self._raise_if_dead()
            if time.monotonic() > until:
                raise SubjectError(
                    f"the command did not write {text!r} within {_START_SECONDS:.0f} s"
                    f"\n{self._last_output()}"
                )
            time.sleep(_POLL_SECONDS)

    def _wait_for_first_call(self) -> None:
        """Call the workload until it succeeds; without one, give the command time to fail."""
        assert self._service is not None
        until = time.monotonic() + (_START_SECONDS if self._target else _SETTLE_SECONDS)
        error: str | None = "it was not called"
        while time.monotonic() < until:
            self._raise_if_dead()
            if self._target is not None:
                try:
                    self._workload = self._workload or self._make_workload(None)
                    _, _, _, error = self._workload.round(
                        1, seconds=1.0, guard_factor=1e9, timeout=None
                    )
                except ConfigurationError as reason:
                    error = str(reason)
                if error is None:
                    return
            time.sleep(_POLL_SECONDS)
        if self._target is not None:
            raise SubjectError(
                f"the workload did not succeed within {_START_SECONDS:.0f} s: {error}"
                f"\n{self._last_output()}"
            )

    def _base_url(self, port_needed: bool) -> str | None:
        assert self._service is not None
        return self._service.base_url if port_needed else None

    def _raise_if_dead(self) -> None:
        if self._service is not None and not self._service.alive:
            raise SubjectError(self._service.describe_exit())

    def _last_output(self) -> str:
        return "" if self._service is None else self._service.last_error()

    def _cancel(self) -> None:
        if self._service is not None:
            self._service.kill()
