"""A PostgreSQL server of this machine, started for tests and stopped by them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["PostgresServer", "postgres_server", "program"]

_USER = "service"
#: Where Debian keeps what it does not put on PATH.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
# A server for tests is never asked for what it held before the machine lost its power. It is
# killed, though: a commit has to be with the system when it is answered.
_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
}


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is, if it is on this machine."""
    return shutil.which(name) or next(
        (str(folder / name) for folder in _FOLDERS if (folder / name).exists()), None
    )


@dataclass
class PostgresServer:
    """A server that can be stopped and started again."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Where a client finds a database."""
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        words = [_needed("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        for name, value in _OPTIONS.items():
            words += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stderr=log, stdout=log, **_other_user())
        deadline = time.monotonic() + 60
        while not (self.folder / ".s.PGSQL.5432").exists() or not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """End it; by default at once, as if it had crashed."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def create(self, database: str) -> str:
        """Make an empty database; gives its URL."""
        self.sql(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.sql(f'DROP DATABASE "{database}" WITH (FORCE)')

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement by another way than that of the service; gives rows as `a|b` lines."""
        words = [_needed("psql"), "-X", "-q", "-A", "-t", "-c", statement, self.url(database)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def _answers(self) -> bool:
        words = [_needed("psql"), "-X", "-q", "-c", "SELECT 1", self.url()]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """An empty server until the block ends; skips the test where there is none."""
    # An optional part of the service, like its client.
    if not os.environ.get("LEAK_SUITE_REQUIRE_POSTGRES"):
        pytest.importorskip("asyncpg")
    if program("initdb") is None and not os.environ.get("LEAK_SUITE_REQUIRE_POSTGRES"):
        pytest.skip("no initdb of PostgreSQL on PATH or in /usr/lib/postgresql")
    # Not pytest's folder: only its owner may enter that, and a socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    words = [_needed("initdb"), "-D", str(folder / "data"), "-U", _USER, "-A", "trust"]
    words += ["--no-sync", "--no-locale", "-E", "UTF8"]
    server = PostgresServer(folder)
    try:
        subprocess.run(words, check=True, capture_output=True, **_other_user())
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _needed(name: str) -> str:
    found = program(name)
    assert found is not None, f"there is no {name} of PostgreSQL here"
    return found


def _other_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; its package comes with a user for it."""
    user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    return {"cwd": "/", **(user if os.getuid() == 0 else {})}
