"""A scenario registers itself: the command, Locust and the docs page go by the registry."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from load.plan import LoadPlan
from load.run import _parser
from load.scenarios import SCENARIOS
from load.scenarios.base import Scenario
from load.scenarios.registry import register

ROOT = Path(__file__).parents[2]


def test_a_registered_scenario_is_known_to_the_command() -> None:
    class Trickle(Scenario):
        """One small upload a second."""

        name = "trickle"
        users = 2

    try:
        assert register(Trickle) is Trickle
        assert _parser().parse_args(["trickle"]).scenario == "trickle"
        assert Trickle.default_users(LoadPlan()) == 2
    finally:
        SCENARIOS.pop("trickle", None)


def test_two_scenarios_of_one_name_are_an_error() -> None:
    class Again(Scenario):
        """Called like another."""

        name = "steady"

    with pytest.raises(ValueError, match="two scenarios are called 'steady'"):
        register(Again)
    assert SCENARIOS["steady"] is not Again


def test_the_page_lists_every_scenario_with_its_users() -> None:
    text = (ROOT / "docs" / "load.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", text, re.MULTILINE))
    plan = LoadPlan()
    users = {name: one.default_users(plan) for name, one in SCENARIOS.items()}
    assert rows["concurrency"] == "slots + places + 3"
    assert users.pop("concurrency") == plan.slots + plan.pending + 3
    del rows["concurrency"]
    assert {name: int(count) for name, count in rows.items()} == users


def test_every_scenario_requires_something_and_is_documented() -> None:
    for scenario in SCENARIOS.values():
        assert scenario.required, scenario.name
        assert scenario.__doc__


def test_the_command_is_not_patched_by_locust() -> None:
    program = (
        "import sys, load.run\n"
        "assert 'locust' not in sys.modules\n"
        "monkey = sys.modules.get('gevent.monkey')\n"
        "assert monkey is None or not monkey.is_module_patched('socket')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_locust_finds_a_user_class_for_every_scenario() -> None:
    command = [sys.executable, "-m", "locust", "-f", "load/locustfile.py", "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = {line.strip() for line in (done.stdout + done.stderr).splitlines()}
    assert {scenario.__name__ for scenario in SCENARIOS.values()} <= names
