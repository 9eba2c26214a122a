"""What Locust loads: one scenario, chosen by LOAD_SCENARIO or --tags, judged at its end."""

# Locust comes first: it patches the standard library for gevent, and what is imported before
# keeps the unpatched one.
import locust  # noqa: F401  # isort: skip

import sys
import time
from pathlib import Path
from typing import Any

import gevent
from locust import HttpUser, events, tag, task
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

# `locust -f load/locustfile.py` puts the folder of this file on the path, not the one above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataclasses import replace

from load.distributed import LinkToMaster, MasterOfRun
from load.judgement import judge_run, write_outcome
from load.plan import LoadPlan
from load.scenarios import SCENARIOS
from load.scenarios.base import Scenario
from load.session import LoadSession


def _locust_user(scenario: type[Scenario]) -> type[HttpUser]:
    """A Locust user that plays a scenario, tagged with its name."""

    class ScenarioUser(scenario, HttpUser):  # type: ignore[misc,valid-type]
        @tag(scenario.name)
        @task
        def play_scenario(self) -> None:
            """All rounds."""
            self.play()
            raise StopUser

    ScenarioUser.__name__ = ScenarioUser.__qualname__ = scenario.__name__
    return ScenarioUser


_USERS = {name: _locust_user(scenario) for name, scenario in SCENARIOS.items()}
# Locust takes every user class that it finds among the names of this module.
globals().update({user.__name__: user for user in _USERS.values()})
_masters: list[MasterOfRun] = []  # one, in a process that leads the users of others


def _chosen(environment: Any) -> LoadPlan:
    plan = LoadPlan.from_environment()
    tags = set(getattr(environment.parsed_options, "tags", None) or ())
    names = {plan.scenario} if plan.scenario else tags & SCENARIOS.keys()
    if len(names) != 1 or not names <= SCENARIOS.keys():
        known = ", ".join(SCENARIOS)
        raise SystemExit(f"Choose one scenario by LOAD_SCENARIO or --tags: {known}.")
    return replace(plan, scenario=names.pop())


def _choose(environment: Any, **_: Any) -> None:
    """Leave only the chosen scenario's users."""
    plan = _chosen(environment)
    environment.user_classes = [_USERS[plan.scenario]]
    session = Scenario.session = LoadSession(plan, environment.host or "", environment)
    if plan.load_workers and isinstance(environment.runner, MasterRunner):
        _masters.append(MasterOfRun(session, environment.runner))


def _judges(environment: Any) -> bool:
    """Whether this process knows the whole run: it is the only one, or the others report to it."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        return Scenario.session.plan.load_workers > 0
    return isinstance(runner, LocalRunner)


def _start(environment: Any, **_: Any) -> None:
    """Begin to watch, from a process of its own."""
    session = Scenario.session
    session.rounds = session.plan.rounds or SCENARIOS[session.plan.scenario].rounds
    session.users = environment.runner.target_user_count
    session.host = environment.host or ""
    session.ends_run = _judges(environment)
    if session.ends_run:
        session.start_observer()
    if session.plan.load_workers and isinstance(environment.runner, WorkerRunner):
        session.link = LinkToMaster(environment.runner)
    elif _masters:
        session.began = time.monotonic()
        _masters[0].start()


def _all_here(**_: Any) -> None:
    """Every user of every worker has been started."""
    session = Scenario.session
    if session.link is not None:
        session.users = session.environment.runner.user_count
        session.link.mark_all_here()


def _judge(environment: Any, **_: Any) -> None:
    """Judge while Locust still writes: what is found now is in its statistics and its report."""
    if _judges(environment):
        judge_run(Scenario.session)
        gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)


def _set_status(environment: Any, **_: Any) -> None:
    """Set an exit status other than 0, never 0 itself: Locust may know of more that failed."""
    if not _judges(environment):
        return
    session = Scenario.session
    session.stop_observer()
    for master in _masters:
        if missing := master.describe_missing():
            session.log.broken.append(missing)
    if not session.over:
        session.log.broken.append("the run was ended before its scenario was through")
    status, _checks = write_outcome(session, SCENARIOS[session.plan.scenario].required)
    if status:
        environment.process_exit_code = status


for _hook, _listener in (
    (events.init, _choose),
    (events.test_start, _start),
    (events.spawning_complete, _all_here),
    (events.test_stop, _judge),
    (events.quitting, _set_status),
):
    _hook.add_listener(_listener)  # type: ignore[no-untyped-call]
