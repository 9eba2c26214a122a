"""Every hostile file against the whole service, with its real pipeline and its processes."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from fixtures.hostile import HostileFile, hostile
from tests.reference_app.conftest import Server, descriptors, served, until


def send(server: Server, file: HostileFile) -> str | None:
    """Send one file; returns an error text if the service did something that it may not."""
    answer = server.upload(file.path.read_bytes(), file.filename, file.content_type)
    if answer.status_code not in file.statuses:
        return f"{file.name}: {answer.status_code}, {answer.text}"
    if answer.status_code != 202:
        is_problem = answer.headers["content-type"] == "application/problem+json"
        return None if is_problem else f"{file.name}: no problem document"
    job = server.wait(answer.json()["job_id"])
    server.http.delete(f"/api/cleanup/{job['job_id']}")
    if job["status"] not in file.ends or (job["status"] == "failed") is not bool(job["error"]):
        return f"{file.name}: {job['status']}, {job['error']}"
    if not re.search(file.reason, job["error"] or ""):
        return f"{file.name}: {job['error']}"
    return None


@pytest.mark.slow
def test_hostile_files_are_refused_or_fail_with_a_reason_and_leave_nothing(tmp_path: Path) -> None:
    files = hostile(tmp_path / "hostile")
    with served(tmp_path / "spool", "reference_app.main:app") as server:
        send(server, files[0])
        process = psutil.Process(server.process.pid)
        before = (descriptors(process), len(server.tree()))
        unexpected = [error for file in files if (error := send(server, file))]
        assert unexpected == []
        until(lambda: (descriptors(process), len(server.tree())) == before)
        assert server.files() == []
        assert server.memory()["jobs"]["total"] == 0
