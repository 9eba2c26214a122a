"""A user of the service: uploads, follows jobs, keeps to Retry-After. Scenarios set the order."""

from __future__ import annotations

import time
from typing import Any, ClassVar, cast

import gevent
from locust import HttpUser
from locust.clients import ResponseContextManager
from locust.exception import StopUser
from locust.runners import LocalRunner
from requests import Response

from load import invariants
from load.judgement import has_recovered
from load.ledger import FINAL, Job
from load.session import Session

__all__ = ["COMPLETED", "LoadUser"]

COMPLETED = frozenset({"completed"})
_POLL_SECONDS = 0.25
_TIMEOUT_SECONDS = 90.0
_LONGEST_RETRY_SECONDS = 300


class LoadUser(HttpUser):
    """What all scenarios share. `session` is set when the test starts."""

    abstract = True
    session: ClassVar[Session]
    #: Invariants and limits that a run must have tried, or it was not exercised.
    required: ClassVar[tuple[str, ...]] = ()
    #: How many rounds, unless the plan says otherwise. How many users is Locust's `--users`.
    rounds: ClassVar[int] = 10

    def on_start(self) -> None:
        """Take a seat; the first user leads."""
        self.seat = self.session.take_seat()

    @property
    def leads(self) -> bool:
        """Whether this user does what has to be done once."""
        return self.seat == 0

    def play(self) -> None:
        """All rounds, each begun and ended by all users together, each followed by rest."""
        session = self.session
        if self.leads:
            session.idle = self.look()
            session.rest()
        while session.more_rounds():
            try:
                self.one_round()
            except Exception as error:
                session.broke(self, error)
            # A pooled connection is a descriptor of the service; none may blur the rest.
            self.client.close()
            session.meet()
            if self.leads:
                session.rest()
        if self.leads:
            session.seconds = time.monotonic() - session.began
            self._end()
        raise StopUser

    def one_round(self) -> None:
        """What one user does in one round."""
        raise NotImplementedError

    # -- what a user can do

    def upload(
        self, content: bytes, *, name: str = "clip.mp4", kind: str = "video/mp4", label: str = ""
    ) -> Response:
        """Send one file and look at what every answer must be."""
        self.session.ledger.uploads += 1
        label = f"/api/upload {label}".strip()
        with self.client.post(
            "/api/upload",
            files={"file": (name, content, kind)},
            name=label,
            timeout=_TIMEOUT_SECONDS,
            catch_response=True,
        ) as answer:
            self._look_at(answer)
        return cast(Response, answer)

    def take(self, answer: Response, ends: frozenset[str] = COMPLETED) -> Job | None:
        """The job of a 202; None for every other answer."""
        if answer.status_code != 202:
            return None
        view = answer.json()
        job = self.session.ledger.take(Job(str(view["job_id"]), ends))
        job.hear(view)
        return job

    def send(self, content: bytes, *, ends: frozenset[str] = COMPLETED) -> Job:
        """Upload until it is taken, keeping to Retry-After; raises where that never happens."""
        deadline = time.monotonic() + 10 * self.session.plan.patience_seconds
        while time.monotonic() < deadline:
            answer = self.upload(content)
            job = self.take(answer, ends)
            if job is not None:
                return job
            if answer.status_code != 503:
                raise RuntimeError(f"an ordinary upload was answered {answer.status_code}")
            gevent.sleep(retry_seconds(answer) or 1)
        raise RuntimeError("an ordinary upload was refused for too long")

    def follow(self, job: Job, until: frozenset[str] = FINAL) -> Job:
        """Ask for the job until it is in one of these states, or lost."""
        session, last = self.session, None
        while job.status not in until | FINAL and not job.lost:
            gevent.sleep(_POLL_SECONDS)
            self._ask(job)
            sign = tuple(job.view.get(key) for key in ("status", "queue_position", "progress"))
            if sign != last:
                # A job that waits behind long ones is not lost: any job's progress counts.
                last, session.last_sign = sign, time.monotonic()
            elif time.monotonic() - session.last_sign > session.plan.patience_seconds:
                job.lost = f"{job.status}, and no job moved for {session.plan.patience_seconds:g} s"
        return job

    def finish(self, job: Job) -> Job:
        """Follow a job to its end, then have it removed: a load run leaves nothing behind."""
        self.follow(job)
        self.clean(job)
        return job

    def clean(self, job: Job) -> None:
        """Remove a job; one that is lost is left for whoever looks for it."""
        if not job.lost:
            self.client.delete(f"/api/cleanup/{job.job_id}", name="/api/cleanup/[id]", timeout=30)

    def look(self) -> dict[str, Any] | None:
        """`/health/memory`; None where the service has no such route."""
        try:
            answer = self.client.get("/health/memory", timeout=30)
            body = answer.json() if answer.status_code == 200 else None
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def snapshot(self) -> None:
        """All jobs at one moment: the positions in the queue must make one row."""
        answer = self.client.get("/api/jobs", timeout=30)
        views = answer.json().get("jobs") if answer.status_code == 200 else None
        if isinstance(views, list):
            complaint = invariants.queue_complaint(views, self.session.plan.slots)
            self.session.ledger.saw(invariants.SNAPSHOT, not complaint, complaint)

    # -- inside

    def _ask(self, job: Job) -> None:
        with self.client.get(
            f"/api/status/{job.job_id}",
            name="/api/status/[id]",
            timeout=30,
            catch_response=True,
        ) as answer:
            if answer.status_code == 200:
                job.hear(answer.json())
            elif answer.status_code == 404:
                job.lost = "the service does not know it any more"
                answer.failure(job.lost)

    def _look_at(self, answer: ResponseContextManager) -> None:
        ledger, status = self.session.ledger, answer.status_code
        ledger.saw(
            invariants.ERRORS,
            0 < status < 500 or status == 503,
            f"an upload was answered {status or 'not at all'}: {answer.error or answer.text[:120]}",
        )
        if status == 503:
            seconds = retry_seconds(answer)
            said = answer.headers.get("Retry-After", "nothing")
            ledger.saw(
                invariants.RETRY_AFTER,
                seconds is not None and 1 <= seconds <= _LONGEST_RETRY_SECONDS,
                f"Retry-After says {said}",
            )
        if 400 <= status < 500 or status == 503:
            # The refusals that scenarios provoke are answers, not failures.
            answer.success()  # type: ignore[no-untyped-call]

    def _end(self) -> None:
        """Let memory come back, keep the service's last word, and end the run."""
        self.session.health = self.look()
        self._wait_for_memory()
        # A distributed run is ended by its master.
        if isinstance(self.environment.runner, LocalRunner):
            gevent.spawn(self.environment.runner.quit)

    def _wait_for_memory(self) -> None:
        session = self.session
        deadline = time.monotonic() + session.plan.recovery_seconds
        while not has_recovered(session) and time.monotonic() < deadline:
            session.rest()


def retry_seconds(answer: Response) -> int | None:
    """What Retry-After says, in seconds; None if it is not there or no number."""
    text = answer.headers.get("Retry-After", "")
    return int(text) if text.isdigit() else None
