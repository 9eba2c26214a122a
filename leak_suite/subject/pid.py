"""A process that runs already, and goes on running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from leak_suite.errors import SubjectError
from leak_suite.metrics.process_tree import ProcessTree
from leak_suite.subject.watched import WatchedSubject
from leak_suite.subject.workload import needs_client

if TYPE_CHECKING:
    from leak_suite.subject.specs import PidSpec

__all__ = ["PidSubject"]


class PidSubject(WatchedSubject):
    """Seen from outside, it and what it starts; a workload that takes a client finds its port."""

    def __init__(self, spec: PidSpec) -> None:
        super().__init__(spec.workload, spec.request_seconds)
        self._spec = spec

    def __enter__(self) -> PidSubject:
        try:
            tree = ProcessTree(self._spec.pid)
        except psutil.Error as error:
            raise SubjectError(f"there is no process {self._spec.pid} to look at") from error
        base_url = self._spec.base_url
        if base_url is None and self._spec.workload and needs_client(self._spec.workload):
            port = tree.listening_port()
            if port is None:
                raise SubjectError(f"process {self._spec.pid} listens on no port to drive")
            base_url = f"http://127.0.0.1:{port}"
        self._watch(tree, base_url)
        return self
