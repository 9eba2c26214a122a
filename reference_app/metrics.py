"""Prometheus metrics of one app, in a registry of its own; no label is ever a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from reference_app.instances import Instance
from reference_app.memory.guard import MemoryGuard, Reading

__all__ = ["Metrics"]


class Metrics:
    """Counters that events advance, and gauges that are set when someone asks."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._moves = prometheus_client.Counter(
            "reference_app_job_states",
            "Jobs that reached a state.",
            ["state"],
            registry=self._registry,
        )
        self._refusals = prometheus_client.Counter(
            "reference_app_uploads_refused",
            "Uploads that were refused.",
            ["status"],
            registry=self._registry,
        )
        self._received = prometheus_client.Counter(
            "reference_app_upload_bytes", "Bytes of accepted files.", registry=self._registry
        )
        self._jobs = Gauge(
            "reference_app_jobs", "Jobs held, by state.", ["state"], registry=self._registry
        )
        self._memory = Gauge(
            "reference_app_memory_bytes",
            "Memory, by what it is of.",
            ["kind"],
            registry=self._registry,
        )
        self._listeners = Gauge(
            "reference_app_event_listeners", "Open event streams.", registry=self._registry
        )

        self._instances = Gauge(
            "reference_app_instances",
            "Processes of the service that live, by role.",
            ["role"],
            registry=self._registry,
        )
        self._instance_memory = Gauge(
            "reference_app_instance_memory_bytes",
            "Memory of each process of the service with its workers.",
            ["host", "owner", "role"],
            registry=self._registry,
        )

    def job_moved(self, state: str) -> None:
        """A job reached a state."""
        self._moves.labels(state).inc()

    def upload_refused(self, status: int) -> None:
        """An upload was answered with this status."""
        self._refusals.labels(str(status)).inc()

    def upload_taken(self, size_bytes: int) -> None:
        """An upload became a job."""
        self._received.inc(size_bytes)

    def page(
        self,
        jobs: dict[str, int],
        reading: Reading,
        guard: MemoryGuard,
        listeners: int,
        instances: Sequence[Instance] = (),
    ) -> bytes:
        """All of it in the text format."""
        for state, count in jobs.items():
            self._jobs.labels(state).set(count)
        memory = {
            "tree": reading.tree.pss,
            "resting": reading.resting,
            "workers": reading.workers.pss,
            "limit": guard.limit.bytes,
            "peak": guard.peak_tree_bytes,
        }
        for kind, value in memory.items():
            self._memory.labels(kind).set(value)
        self._listeners.set(listeners)
        # Begun anew, so that one that has ended is not exported for ever.
        for gauge in (self._instances, self._instance_memory):
            gauge.clear()
        for role, count in Counter(one.role for one in instances).items():
            self._instances.labels(role).set(count)
        for one in instances:
            labels = (one.host, one.owner, one.role)
            self._instance_memory.labels(*labels).set(one.memory_bytes)
        return generate_latest(self._registry)
