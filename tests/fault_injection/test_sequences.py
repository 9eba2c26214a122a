"""Any sequence of uploads, cancels, deletions, expiries and deaths: what always holds."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from reference_app.factories import ServiceFactories
from tests.fault_injection.conftest import Plan
from tests.reference_app.conftest import (
    FINAL,
    Client,
    HandClock,
    Server,
    running,
    served,
    settings_for,
    until,
)
from tests.reference_app.stand_in_engine import FILES, make_engine

BEHAVIOURS = ("quick", "hold", "broken", "unreadable")
WHICH = st.integers(0, 99)


class Service(RuleBasedStateMachine):
    """The service, and what a client must think of it."""

    made: Client
    clock: HandClock | None = None

    def __init__(self) -> None:
        super().__init__()
        # Each sequence begins with an empty service; starting one for each would take all the time.
        self.known: dict[str, str] = {}
        (self.made.spool / "release").unlink(missing_ok=True)

    def teardown(self) -> None:
        """Every accepted job reaches a final state, and then nothing is left."""
        self.made.release()
        for job_id in list(self.known):
            self.settle(job_id)
        for job in self.made.http.get("/api/jobs").json()["jobs"]:
            self.made.http.delete(f"/api/cleanup/{job['job_id']}")
        until(lambda: self.made.files() == [], 20)
        held = self.made.memory()["jobs"]
        assert {name: count for name, count in held.items() if count} == {}

    def settle(self, job_id: str) -> None:
        state = until(lambda: (s := self.status(job_id)) in FINAL | {"gone"} and s, 30)
        assert state in FINAL | {"gone"}

    def status(self, job_id: str) -> str:
        answer = self.made.http.get(f"/api/status/{job_id}")
        assert answer.status_code in (200, 404)
        return str(answer.json()["status"]) if answer.status_code == 200 else "gone"

    def job(self, which: int) -> str | None:
        """One of the jobs that are known, in the order of their uploads."""
        # How many were accepted depends on the moment; what is drawn must not, or no sequence
        # could be replayed.
        return list(self.known)[which % len(self.known)] if self.known else None

    @rule(behaviour=st.sampled_from(BEHAVIOURS), times=st.integers(1, 5))
    def upload(self, behaviour: str, times: int) -> None:
        """Send some videos."""
        from tests.reference_app.stand_in_engine import clip

        for _ in range(times):
            answer = self.made.upload(clip(behaviour))
            assert answer.status_code in (202, 503)
            if answer.status_code == 202:
                self.known[answer.json()["job_id"]] = behaviour
            else:
                assert answer.json()["reason"] == "queue full"
                assert int(answer.headers["retry-after"]) >= 1

    @rule()
    def flood(self) -> None:
        """More than can wait: some are refused, and no more than the limit waits."""
        for _ in range(14):
            self.upload("hold", 1)
        (self.made.spool / "release").unlink(missing_ok=True)
        assert self.made.memory()["jobs"]["pending"] <= 10

    @rule(which=WHICH)
    def poll(self, which: int) -> None:
        """Ask for one."""
        if job_id := self.job(which):
            assert self.status(job_id) in FINAL | {"pending", "processing", "gone"}

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """Cancel one; it is final at once."""
        if not (job_id := self.job(which)):
            return
        answer = self.made.http.post(f"/api/cancel/{job_id}")
        assert answer.status_code in (200, 404)
        assert self.status(job_id) in {"cancelled", "failed", "gone"}

    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        """Remove one; nobody knows it afterwards."""
        if not (job_id := self.job(which)):
            return
        assert self.made.http.delete(f"/api/cleanup/{job_id}").status_code in (200, 404)
        assert self.status(job_id) == "gone"
        del self.known[job_id]

    @rule(which=WHICH, kind=st.sampled_from([*FILES, "nonsense"]))
    def download(self, which: int, kind: str) -> None:
        """Fetch a result; only a completed job has one, and it is whole."""
        if not (job_id := self.job(which)):
            return
        before = self.status(job_id)
        answer = self.made.http.get(f"/api/download/{job_id}/{kind}")
        assert answer.status_code in (200, 404, 409)
        if before == "completed" and kind in FILES:
            assert answer.status_code == 200
            assert len(answer.content) == 200_000

    @rule()
    def let_go(self) -> None:
        """Let the jobs that hold go on, and wait for them."""
        self.made.release()
        for job_id in self.known:
            self.settle(job_id)
        (self.made.spool / "release").unlink(missing_ok=True)

    @precondition(lambda self: self.clock is not None)
    @rule()
    def expire(self) -> None:
        """An hour goes by; final jobs are gone, with their files, and no others."""
        assert self.clock is not None
        before = {job_id: self.status(job_id) for job_id in self.known}
        self.clock.monotonic_ahead += 3601
        for job_id, state in before.items():
            if state in FINAL:
                assert self.status(job_id) == "gone"
                del self.known[job_id]

    @precondition(lambda self: isinstance(self.made, Server))
    @rule()
    def kill(self) -> None:
        """Workers die."""
        assert isinstance(self.made, Server)
        for worker in self.made.workers():
            worker.kill()

    @invariant()
    def the_limits_hold_and_the_counters_agree(self) -> None:
        """Processing <= 2, pending <= 10, and `/health/memory` agrees with the list of jobs."""
        figures = self.made.memory()
        jobs, peaks = figures["jobs"], figures["peaks"]
        assert jobs["processing"] <= 2
        assert jobs["pending"] <= 10
        assert peaks["processing"] <= 2
        assert peaks["pending"] <= 10
        assert sum(jobs[state] for state in (*FINAL, "pending", "processing")) == jobs["total"]

        def agree() -> bool:
            listed = self.made.http.get("/api/jobs").json()["jobs"]
            counted = self.made.memory()["jobs"]
            states = [job["status"] for job in listed]
            return all(counted[state] == states.count(state) for state in (*FINAL, "processing"))

        until(agree, 10)

    @invariant()
    def files_and_jobs_belong_together(self) -> None:
        """No file without a job; a completed job has its files, and a failed one none."""

        def together() -> bool:
            listed = {j["job_id"]: j for j in self.made.http.get("/api/jobs").json()["jobs"]}
            owners = self.made.owners()
            whole = all(
                owners.get(job_id) == set(FILES.values())
                for job_id, job in listed.items()
                if job["status"] == "completed"
            )
            ended = {i for i, j in listed.items() if j["status"] in ("failed", "cancelled")}
            return set(owners) <= set(listed) and whole and not set(owners) & ended

        until(together, 10)


def machine(client: Client, clock: HandClock | None) -> Any:
    """The machine on this service."""
    return type("Service", (Service,), {"made": client, "clock": clock})


def effort(plan: Plan, examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if plan.full else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def run(made: Any, plan: Plan, examples: int, steps: int) -> None:
    def factory() -> RuleBasedStateMachine:
        return made()  # type: ignore[no-any-return]

    run_machine(seed(plan.seed)(factory), settings=effort(plan, examples, steps))


@pytest.mark.timeout(900)
def test_any_sequence_of_requests_keeps_the_service_right(plan: Plan) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clock = HandClock()
        parts = ServiceFactories(engine=make_engine, clock=lambda: clock)
        chosen = settings_for(folder / "spool", expiry_interval_seconds=0.02)
        client = stack.enter_context(running(chosen, parts))
        run(machine(client, clock), plan, plan.repeats(8, 150), plan.repeats(15, 30))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_any_sequence_with_dying_workers_keeps_the_service_right(
    tmp_path: Path, plan: Plan
) -> None:
    with served(tmp_path / "spool") as server:
        run(machine(server, None), plan, plan.repeats(3, 20), plan.repeats(8, 15))
