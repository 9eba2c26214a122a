"""Memory of the reference service by role: `python -m tests.reference_app.memory_figures`.

Prints the PSS in MiB of a process tree: the form on one machine at rest; with PostgreSQL and S3 the
process with a port, and a worker, at rest. The code is the service's own, not the stand-in's.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import psutil

from tests.reference_app import cluster as clusters
from tests.reference_app.cluster import cluster
from tests.reference_app.conftest import served
from tests.reference_app.postgres import postgres_server
from tests.reference_app.s3 import s3_server

_API = [sys.executable, "-m", "uvicorn", "reference_app.main:app", "--port", "{port}"]
_WORKER = [sys.executable, "-m", "reference_app"]


def pss(pid: int) -> float:
    """Of a process and all below it, in MiB, once it has not changed by 1% for three seconds."""
    last, same = 0.0, 0
    while same < 3:
        time.sleep(1)
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        now = sum(one.memory_full_info().pss for one in tree) / 2**20
        same = same + 1 if abs(now - last) < 0.01 * now else 0
        last = now
    return last


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory(prefix="figures-") as name:
        folder = Path(name)
        with served(folder / "spool", "reference_app.main:app") as server:
            print(f"one machine, at rest: {pss(server.process.pid):.1f} MiB", flush=True)
        (folder / "scaled").mkdir()
        with (
            postgres_server() as postgres,
            s3_server(folder / "s3") as s3,
            patch.object(clusters, "_API", _API),
            patch.object(clusters, "_WORKER", _WORKER),
            cluster(folder / "scaled", postgres, s3, WORKERS="process") as parts,
        ):
            parts.api()
            print(f"API, PostgreSQL and S3: {pss(parts.processes[0].pid):.1f} MiB", flush=True)
            worker = parts.worker()
            print(f"worker, at rest: {pss(worker.pid):.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
