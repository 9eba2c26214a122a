"""Accepted jobs are accounted for after faults of processes, links and servers; see `machines`."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fault_injection.machines import FAULTS, HEAD, Account, Servers, run, servers_in

#: A fault that is over soon and needs no servers.
SHORT = "embedded_killed"
GOOD = Account(
    "none", 1, accepted=3, completed=1, failed=1, cancelled=1, lost=0, twice=0, strays=0, bare=0,
    attempts=3, recovery=60.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers_in(tmp_path_factory.mktemp("machines")) as made:
        yield made


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"completed": 2, "failed": 0, "cancelled": 0}, ["the sum is not what was accepted"]),
        ({"lost": 1}, ["lost"]),
        ({"twice": 1}, ["published twice"]),
        ({"strays": 1}, ["objects without a row"]),
        ({"bare": 1}, ["rows without an object"]),
        ({"attempts": 4}, ["too many attempts"]),
        ({"recovery": 60.1}, ["recovered too late"]),
    ],
)
def test_an_account_names_the_bar_that_was_missed(
    change: dict[str, int], missed: list[str]
) -> None:
    assert replace(GOOD, **change).wrong == missed
    assert replace(GOOD, **change).row().count("|") == HEAD.splitlines()[0].count("|")


#: With this seed the kill comes before the first upload has arrived.
BEFORE_THE_FIRST = 576004771


@pytest.mark.parametrize("seed", [None, BEFORE_THE_FIRST], ids=["any moment", "before a job"])
def test_one_machine_that_is_killed_loses_no_job(tmp_path: Path, seed: int | None) -> None:
    seed = seed or random.randrange(1 << 30)
    account = run(SHORT, Servers(tmp_path), seed, 1)
    assert account.wrong == [], (seed, account)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_loses_a_job_or_publishes_it_twice(servers: Servers, name: str) -> None:
    if "disk" in name and os.getuid() != 0:
        pytest.skip("a full disk is one of its own, and to mount it takes root")
    seed = random.randrange(1 << 30)
    account = run(name, servers, seed, 5)
    assert account.wrong == [], (seed, account)
