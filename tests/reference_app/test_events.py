"""The event stream follows a job to its end, and forgets a listener the moment it is gone."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from reference_app.container import ServiceContainer
from reference_app.http.routes.events import events
from reference_app.jobs.events import JobEvents
from reference_app.jobs.model import Job
from reference_app.settings import Settings
from tests.reference_app.conftest import Running, until


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_a_listener_that_goes_while_it_is_written_to_is_forgotten_at_once(
    spec_version: str,
) -> None:
    """A server tells it by `receive`, or by failing in `send`; neither waits for a collection."""
    broadcaster = JobEvents()
    job = Job("a", "a.mp4", 1, created_at=0.0, state_changed_at=0.0)

    class Jobs:
        async def find(self, _job_id: str) -> Job:
            return job

        async def view(self, job: Job) -> dict[str, Any]:
            return job.view(1)

    container = SimpleNamespace(
        jobs=Jobs(), broadcaster=broadcaster, settings=Settings(event_keepalive_seconds=15)
    )
    listeners = []

    async def listen() -> None:
        written = asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                listeners.append(len(broadcaster))
                written.set()
                if spec_version == "2.4":
                    raise OSError("the listener is gone")
                # It reads nothing: what is written to it waits.
                await asyncio.Event().wait()

        async def receive() -> Message:
            await written.wait()
            return {"type": "http.disconnect"}

        response = await events("a", cast(ServiceContainer, container))
        scope: dict[str, Any] = {"type": "http", "asgi": {"spec_version": spec_version}}
        with suppress(ClientDisconnect):
            await response(scope, receive, send)
        # The response still lives here, and with it the stream that it was made of.
        listeners.append(len(broadcaster))

    asyncio.run(listen())
    assert listeners == [1, 0]


def test_events_follow_a_job_to_its_end(service: Running) -> None:
    job_id = service.start("hold")
    seen = []
    with service.http.stream("GET", f"/api/jobs/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line[6:])["status"])
                service.release()
    assert seen[-1] == "completed"
    assert seen == sorted(seen, key=["pending", "processing", "completed"].index)
    until(lambda: len(service.container.broadcaster) == 0)


def test_events_of_a_finished_job_end_at_once(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)
    text = service.http.get(f"/api/jobs/{job_id}/events").text
    assert text.count("event: completed") == 1
    assert service.http.get("/api/jobs/unknown/events").status_code == 404


def test_a_listener_that_goes_away_is_forgotten(service: Running) -> None:
    job_id = service.start("hold")
    with service.http.stream("GET", f"/api/jobs/{job_id}/events") as answer:
        # Kept: an iterator that is dropped closes the connection.
        lines = answer.iter_lines()
        next(lines)
        assert len(service.container.broadcaster) == 1
    until(lambda: len(service.container.broadcaster) == 0)
