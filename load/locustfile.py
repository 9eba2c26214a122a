"""What Locust loads: one scenario, chosen by LOAD_SCENARIO or --tags, judged at its end."""

# Locust comes first: it patches the standard library for gevent, and what is imported before
# keeps the unpatched one.
import locust  # noqa: F401  # isort: skip

import sys
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.runners import LocalRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

# `locust -f load/locustfile.py` puts the folder of this file on the path, not the one above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataclasses import replace

from load.judgement import judge_run, write_outcome
from load.plan import Plan
from load.scenarios import SCENARIOS
from load.scenarios.abort import Abort
from load.scenarios.base import LoadUser
from load.scenarios.cancel import Cancel
from load.scenarios.concurrency import Concurrency
from load.scenarios.hostile import Hostile
from load.scenarios.rejection import Rejection
from load.scenarios.traffic import Burst, Soak, Steady
from load.session import Session

__all__ = ["Abort", "Burst", "Cancel", "Concurrency", "Hostile", "Rejection", "Soak", "Steady"]


def _chosen(environment: Any) -> Plan:
    plan = Plan.from_environment()
    tags = set(getattr(environment.parsed_options, "tags", None) or ())
    names = {plan.scenario} if plan.scenario else tags & SCENARIOS.keys()
    if len(names) != 1 or not names <= SCENARIOS.keys():
        known = ", ".join(SCENARIOS)
        raise SystemExit(f"Choose one scenario by LOAD_SCENARIO or --tags: {known}.")
    return replace(plan, scenario=names.pop())


def _choose(environment: Any, **_: Any) -> None:
    """Leave only the chosen scenario's users."""
    plan = _chosen(environment)
    environment.user_classes = [SCENARIOS[plan.scenario]]
    LoadUser.session = Session(plan, environment.host or "", environment)


def _start(environment: Any, **_: Any) -> None:
    """Begin to watch, from a process of its own."""
    session = LoadUser.session
    session.rounds = session.plan.rounds or SCENARIOS[session.plan.scenario].rounds
    session.users = environment.runner.target_user_count
    session.host = environment.host or ""
    if isinstance(environment.runner, LocalRunner):
        session.start_watch()


def _judge(environment: Any, **_: Any) -> None:
    """Judge while Locust still writes: what is found now is in its statistics and its report."""
    if isinstance(environment.runner, LocalRunner):
        judge_run(LoadUser.session)
        gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)


def _set_status(environment: Any, **_: Any) -> None:
    """Set an exit status other than 0, never 0 itself: Locust may know of more that failed."""
    if not isinstance(environment.runner, LocalRunner):
        return
    session = LoadUser.session
    session.stop_watch()
    if not session.over:
        session.ledger.broken.append("the run was ended before its scenario was through")
    status, _checks = write_outcome(session, SCENARIOS[session.plan.scenario].required)
    if status:
        environment.process_exit_code = status


for _hook, _listener in (
    (events.init, _choose),
    (events.test_start, _start),
    (events.test_stop, _judge),
    (events.quitting, _set_status),
):
    _hook.add_listener(_listener)  # type: ignore[no-untyped-call]
