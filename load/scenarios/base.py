"""What a scenario declares, and what its users can do: upload, follow jobs, keep to Retry-After.

Nothing here imports Locust, which patches the standard library of whoever imports it: the
locustfile makes a Locust user of each scenario.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import gevent

from load import files, invariants
from load.judgement import wait_for_memory
from load.plan import LoadPlan
from load.run_log import FINAL, UploadedJob
from load.session import LoadSession

if TYPE_CHECKING:
    from locust.clients import ResponseContextManager
    from requests import Response

__all__ = ["COMPLETED", "Scenario", "retry_seconds"]

COMPLETED = frozenset({"completed"})
_POLL_SECONDS = 0.25
_TIMEOUT_SECONDS = 90.0
_LONGEST_RETRY_SECONDS = 300


class Scenario:
    """One user of a scenario. A scenario declares the class attributes and defines `one_round`.

    `name`: on the command line, and Locust's tag. `users`, `rounds` and `seconds` (no new round
    begins after so long; 0 is no limit) hold unless the plan says otherwise. `required`:
    invariants and limits that a run must have tried, or it was not exercised. `distributed`: many
    Locust processes may make the load. `session` is set when the test starts; `client` is Locust's
    HTTP client.
    """

    name: ClassVar[str]
    users: ClassVar[int] = 1
    rounds: ClassVar[int] = 10
    seconds: ClassVar[float] = 0.0
    required: ClassVar[tuple[str, ...]] = ()
    distributed: ClassVar[bool] = False
    session: ClassVar[LoadSession]
    client: Any
    environment: Any

    @classmethod
    def default_users(cls, plan: LoadPlan) -> int:  # noqa: ARG003 - for scenarios that depend on it
        """How many users load the service that `plan` describes."""
        return cls.users

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:  # noqa: ARG003 - as above
        """Make the files that it sends, so that drawing them does not count as load."""
        files.quick_job()

    def on_start(self) -> None:
        """Number this user."""
        self.user_index = self.session.next_user_index()

    @property
    def is_leader(self) -> bool:
        """Whether this user does what only one user has to do."""
        return self.user_index == 0

    def play(self) -> None:
        """All rounds, each begun and ended by all users together, an idle window after each."""
        session = self.session
        if session.link is not None:
            session.link.wait_until_all_here()
        if self.is_leader:
            session.idle = self.memory_health()
            session.mark_idle()
        while session.more_rounds():
            try:
                self.one_round()
            except Exception as error:
                session.record_error(self, error)
            # A pooled connection is a descriptor of the service; none may be open while it is idle.
            self.client.close()
            session.wait_for_all()
            if self.is_leader:
                session.mark_idle()
        if self.is_leader:
            session.seconds = time.monotonic() - session.began
            self._end()

    def one_round(self) -> None:
        """What one user does in one round."""
        raise NotImplementedError

    # -- what a user can do

    def upload(
        self, content: bytes, *, name: str = "clip.mp4", kind: str = "video/mp4", label: str = ""
    ) -> Response:
        """Send one file, and check what holds for every answer."""
        self.session.log.uploads += 1
        label = f"/api/upload {label}".strip()
        with self.client.post(
            "/api/upload",
            files={"file": (name, content, kind)},
            name=label,
            timeout=_TIMEOUT_SECONDS,
            catch_response=True,
        ) as answer:
            self._check_answer(answer)
        response: Response = answer
        return response

    def accept(self, answer: Response, ends: frozenset[str] = COMPLETED) -> UploadedJob | None:
        """The job of a 202; None for every other answer."""
        if answer.status_code != 202:
            return None
        view = answer.json()
        job = self.session.log.add(UploadedJob(str(view["job_id"]), ends))
        job.update(view)
        return job

    def send(self, content: bytes, *, ends: frozenset[str] = COMPLETED) -> UploadedJob:
        """Upload until it is taken, keeping to Retry-After; raises where that never happens."""
        deadline = time.monotonic() + 10 * self.session.plan.stall_seconds
        while time.monotonic() < deadline:
            answer = self.upload(content)
            job = self.accept(answer, ends)
            if job is not None:
                return job
            if answer.status_code != 503:
                raise RuntimeError(f"an ordinary upload was answered {answer.status_code}")
            gevent.sleep(retry_seconds(answer) or 1)
        raise RuntimeError("an ordinary upload was refused for too long")

    def follow(self, job: UploadedJob, until: frozenset[str] = FINAL) -> UploadedJob:
        """Ask for the job until it is in one of these states, or lost."""
        session, last = self.session, None
        while job.status not in until | FINAL and not job.lost:
            gevent.sleep(_POLL_SECONDS)
            self._ask(job)
            sign = tuple(job.view.get(key) for key in ("status", "queue_position", "progress"))
            if sign != last:
                # A job that waits behind long ones is not lost: any job's progress counts.
                last, session.last_sign = sign, time.monotonic()
            elif time.monotonic() - session.last_sign > session.plan.stall_seconds:
                job.lost = f"{job.status}, and no job moved for {session.plan.stall_seconds:g} s"
        return job

    def finish(self, job: UploadedJob) -> UploadedJob:
        """Follow a job to its end, then remove it: a load run leaves nothing behind."""
        self.follow(job)
        self.clean(job)
        return job

    def clean(self, job: UploadedJob) -> None:
        """Remove a job; a lost one is left for whoever investigates."""
        if not job.lost:
            self.client.delete(f"/api/cleanup/{job.job_id}", name="/api/cleanup/[id]", timeout=30)

    def memory_health(self) -> dict[str, Any] | None:
        """`/health/memory`; None where the service has no such route."""
        try:
            answer = self.client.get("/health/memory", timeout=30)
            body = answer.json() if answer.status_code == 200 else None
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def snapshot(self) -> None:
        """Check all jobs at one moment: queue positions must be 1, 2, 3 … without gaps."""
        answer = self.client.get("/api/jobs", timeout=30)
        views = answer.json().get("jobs") if answer.status_code == 200 else None
        if isinstance(views, list):
            error = invariants.queue_error(views, self.session.plan.slots)
            self.session.log.record(invariants.SNAPSHOT, not error, error)

    # -- inside

    def _ask(self, job: UploadedJob) -> None:
        with self.client.get(
            f"/api/status/{job.job_id}",
            name="/api/status/[id]",
            timeout=30,
            catch_response=True,
        ) as answer:
            if answer.status_code == 200:
                job.update(answer.json())
            elif answer.status_code == 404:
                job.lost = "the service does not know it any more"
                answer.failure(job.lost)

    def _check_answer(self, answer: ResponseContextManager) -> None:
        log, status = self.session.log, answer.status_code
        log.record(
            invariants.ERRORS,
            0 < status < 500 or status == 503,
            f"an upload was answered {status or 'not at all'}: {answer.error or answer.text[:120]}",
        )
        if status == 503:
            seconds = retry_seconds(answer)
            header = answer.headers.get("Retry-After", "nothing")
            log.record(
                invariants.RETRY_AFTER,
                seconds is not None and 1 <= seconds <= _LONGEST_RETRY_SECONDS,
                f"Retry-After is {header}",
            )
        if 400 <= status < 500 or status == 503:
            # The refusals that scenarios provoke are answers, not failures.
            answer.success()  # type: ignore[no-untyped-call]

    def _end(self) -> None:
        """Let memory come back, keep the service's last figures, and end the run."""
        self.session.health = self.memory_health()
        if self.session.link is None:
            wait_for_memory(self.session)
        self.session.end_run()


def retry_seconds(answer: Response) -> int | None:
    """The seconds of Retry-After; None if it is missing or no number."""
    text = answer.headers.get("Retry-After", "")
    return int(text) if text.isdigit() else None
