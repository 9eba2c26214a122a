"""Results: what can be fetched, when, and by which names."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import psutil
import pytest

from reference_app.factories import ServiceFactories
from reference_app.storage.objects import MemoryObjectStore
from tests.reference_app.conftest import Running, until
from tests.reference_app.stand_in_engine import FILES, make_engine


def test_a_download_that_has_begun_survives_expiry_and_cleanup(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)
    with service.http.stream("GET", f"/api/download/{job_id}/video") as answer:
        pieces = answer.iter_bytes(1000)
        received = len(next(pieces))
        assert httpx.delete(f"{service.http.base_url}/api/cleanup/{job_id}").is_success
        received += sum(map(len, pieces))
    assert received == 200_000
    assert service.http.get(f"/api/download/{job_id}/video").status_code == 404


def test_results_can_be_downloaded_and_served(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)
    for kind, name in FILES.items():
        answer = service.http.get(f"/api/download/{job_id}/{kind}")
        assert (answer.status_code, len(answer.content)) == (200, 200_000)
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        shown = service.http.get(f"/api/serve/{job_id}/{name}")
        assert shown.headers["content-disposition"].startswith("inline")
    part = service.http.get(f"/api/serve/{job_id}/video.mp4", headers={"Range": "bytes=5-9"})
    assert (part.status_code, len(part.content)) == (206, 5)
    head = service.http.head(f"/api/download/{job_id}/video")
    assert (head.headers["content-length"], head.content) == ("200000", b"")


def test_only_a_completed_job_has_results(service: Running) -> None:
    job_id = service.start("hold")
    for path in (f"/api/download/{job_id}/video", f"/api/serve/{job_id}/video.mp4"):
        assert service.http.get(path).status_code == 409
    assert service.http.get("/api/download/unknown/video").status_code == 404


@pytest.mark.parametrize(
    "name", ["source", "..%2f..%2fetc%2fpasswd", "%2e%2e/x", ".reference-app.lock", "video.mp4%00"]
)
def test_nothing_but_results_is_served(service: Running, name: str) -> None:
    job_id = service.start()
    service.wait(job_id)
    assert service.http.get(f"/api/serve/{job_id}/{name}").status_code == 404
    assert service.http.get(f"/api/download/{job_id}/{name}").status_code == 404


def test_downloads_leave_no_file_open(service: Running) -> None:
    job_id = service.start()
    service.wait(job_id)

    for _ in range(3):
        service.http.get(f"/api/download/{job_id}/video")
        service.http.head(f"/api/download/{job_id}/video")
        service.http.get(f"/api/download/{job_id}/video", headers={"Range": "bytes=999999-"})
        with service.http.stream("GET", f"/api/download/{job_id}/video"):
            pass
    results = {str(path) for path in service.files() if path.is_file()}
    until(lambda: not results & {file.path for file in psutil.Process().open_files()})


def test_objects_that_are_no_files_of_this_machine_are_streamed(
    serve: Callable[..., Running],
) -> None:
    objects = MemoryObjectStore()
    service = serve(ServiceFactories(engine=make_engine, objects=lambda *_: objects))
    job_id = service.start()
    service.wait(job_id, "completed")
    answer = service.http.get(f"/api/download/{job_id}/video")
    assert (answer.status_code, len(answer.content)) == (200, 200_000)
    assert answer.headers["content-length"] == "200000"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == 'attachment; filename="video.mp4"'
    assert service.http.delete(f"/api/cleanup/{job_id}").is_success
    assert service.call(objects.keys("jobs/")) == []
