"""Faults of processes, links, servers, disks and clocks, each with an account of accepted jobs.

`python -m tests.fault_injection.machines SEED ROUNDS [NAME ...]` prints a row for each fault: every
job whose upload was answered with 202 has ended once, and objects and rows agree. Both forms of the
service, with real processes, signals, PostgreSQL and S3 server. What a job does is the short
program of `tests.reference_app.stand_in_engine`; the faults named "real" take the real pipeline.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from fixtures.servers.postgres import postgres_server
from fixtures.servers.s3 import s3_server
from tests.fault_injection.accounts import HEAD, Account, Place, Servers
from tests.fault_injection.embedded_faults import (
    embedded_clock,
    embedded_disk_full,
    embedded_jobs_killed,
    embedded_killed,
    embedded_stopped,
)
from tests.fault_injection.scaled_faults import (
    apis_killed,
    clocks_off,
    database_restarted,
    disk_full,
    hints_twice,
    jobs_killed,
    link_api_database,
    link_worker_database,
    link_worker_store,
    real_workers_killed,
    redis_delivers_twice,
    redis_restarted,
    store_fails,
    two_sweepers,
    worker_stopped,
    worker_stopped_as_shipped,
    workers_killed,
)

__all__ = ["FAULTS", "Account", "Place", "run"]


Fault = Callable[[Servers, random.Random, int], Account]
FAULTS: dict[str, Fault] = {
    one.__name__: one
    for one in (
        workers_killed, jobs_killed, apis_killed, worker_stopped, worker_stopped_as_shipped,
        link_worker_database, link_worker_store, link_api_database, database_restarted,
        store_fails, disk_full, clocks_off, hints_twice, two_sweepers, redis_restarted,
        redis_delivers_twice, embedded_killed,
        embedded_jobs_killed, embedded_stopped, embedded_disk_full, embedded_clock,
        real_workers_killed,
    )
}  # fmt: skip


@contextmanager
def servers_in(folder: Path) -> Iterator[Servers]:
    """A database and a store, until the block ends."""
    with postgres_server() as postgres, s3_server(folder / "s3") as s3:
        yield Servers(folder, postgres, s3)


def run(name: str, servers: Servers, seed: int, rounds: int) -> Account:
    """One fault; the same moments for the same seed."""
    return FAULTS[name](servers, random.Random(f"{seed}/{name}"), rounds)


def main(words: list[str]) -> int:
    """Print the table; 1 where a bar was missed."""
    seed, rounds = int(words[0]), int(words[1])
    missed = 0
    print(f"seed {seed}, {rounds} rounds\n\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="machines-") as folder:
        names = words[2:] or list(FAULTS)
        alone = all(name.startswith("embedded") for name in names)
        opened = servers_in(Path(folder)) if not alone else nullcontext(Servers(Path(folder)))
        with opened as servers:
            for name in names:
                try:
                    account = run(name, servers, seed, rounds)
                except Exception as error:  # The other faults are still of interest.
                    missed += 1
                    print(f"ENDED by {name}: {error!r}"[:2000], flush=True)
                    continue
                print(account.row(), flush=True)
                for wrong in account.wrong:
                    missed += 1
                    print(f"MISSED by {name}: {wrong}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
