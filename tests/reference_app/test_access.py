"""Jobs belong to whoever knows their id; the list and the figures belong to the operator."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from reference_app.errors import TooManyRequests
from reference_app.http.access import ClientLimits
from reference_app.settings import MIB
from tests.reference_app.conftest import HandClock, Running
from tests.reference_app.stand_in_engine import clip

OPERATORS = ["/api/jobs", "/metrics", "/monitor", "/monitor/data", "/monitor/monitor.js"]
KEY = "correct horse"


@pytest.mark.parametrize("path", OPERATORS)
def test_without_a_key_the_operators_routes_are_for_loopback(service: Running, path: str) -> None:
    assert service.http.get(path).status_code == 200


@pytest.mark.parametrize("path", OPERATORS)
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Host": "rebound.example"},
        {"Host": "["},
        {"Host": "[]"},
    ],
)
def test_neither_a_proxy_nor_a_rebound_name_is_loopback(
    service: Running, path: str, headers: dict[str, str]
) -> None:
    answer = service.http.get(path, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "ADMIN_KEY" in answer.json()["detail"]


def test_the_log_tells_at_start_who_may_list_jobs(service: Running) -> None:
    assert sum("ADMIN_KEY" in event["event"] for event in service.events()) == 1


@pytest.mark.parametrize("path", OPERATORS)
def test_with_a_key_loopback_is_not_enough(serve: Callable[..., Running], path: str) -> None:
    service = serve(admin_key=KEY)
    answer = service.http.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    wrong = {"Authorization": "Bearer wrong"}
    assert service.http.get(path, headers=wrong).status_code == 401
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-Admin-Key": KEY}):
        away = {**headers, "X-Forwarded-For": "203.0.113.9"}
        assert service.http.get(path, headers=away).status_code == 200
    assert service.http.get(path, auth=httpx.BasicAuth("operator", KEY)).status_code == 200
    broken = {"Authorization": "Basic ü".encode("latin-1").decode("latin-1")}
    assert service.http.get(path, headers=httpx.Headers(broken, "latin-1")).status_code == 401


def test_the_id_of_a_job_is_enough_for_all_of_it(serve: Callable[..., Running]) -> None:
    service = serve(admin_key=KEY)
    job_id = service.start()
    assert service.wait(job_id)["status"] == "completed"
    assert service.http.get(f"/api/download/{job_id}/csv").status_code == 200
    assert service.http.delete(f"/api/cleanup/{job_id}").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_foreign_page_may_not_change_anything(service: Running, headers: dict[str, str]) -> None:
    job_id = service.start("hold")
    for method, path in (("POST", "/api/cancel/"), ("DELETE", "/api/cleanup/")):
        answer = service.http.request(method, path + job_id, headers=headers)
        assert answer.status_code == 403, answer.text
    files = {"file": ("a.mp4", clip(), "video/mp4")}
    assert service.http.post("/api/upload", files=files, headers=headers).status_code == 403
    assert service.http.get(f"/api/status/{job_id}", headers=headers).status_code == 200
    service.release()
    assert service.wait(job_id)["status"] == "completed"


def test_the_own_page_and_an_allowed_one_may(serve: Callable[..., Running]) -> None:
    service = serve(allowed_origins="https://clinic.example, https://other.example/")
    own = str(service.http.base_url).rstrip("/")
    for origin in (own, "https://clinic.example", "https://other.example"):
        answer = service.http.post(f"/api/cancel/{service.start()}", headers={"Origin": origin})
        assert answer.status_code == 200, (origin, answer.text)
    assert answer.headers["access-control-allow-origin"] == "https://other.example"


def test_an_upload_needs_the_api_key_where_there_is_one(serve: Callable[..., Running]) -> None:
    service = serve(api_key=KEY)
    files = {"file": ("a.mp4", clip(), "video/mp4")}
    refused = service.http.post("/api/upload", files=files)
    assert (refused.status_code, refused.headers["connection"]) == (401, "close")
    headers = {"X-API-Key": KEY}
    assert service.http.post("/api/upload", files=files, headers=headers).status_code == 202


def test_a_client_that_sends_more_than_its_share_is_reported_when_to_come_back(
    serve: Callable[..., Running],
) -> None:
    service = serve(client_jobs_per_minute=2)
    assert [service.upload().status_code for _ in range(2)] == [202, 202]
    refused = service.upload()
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_behind_a_proxy_each_client_has_a_share_of_its_own(serve: Callable[..., Running]) -> None:
    service = serve(client_jobs_per_minute=1)
    files = {"file": ("a.mp4", clip(), "video/mp4")}

    def upload_for(address: str) -> int:
        # The server believes a proxy on this machine unless FORWARDED_ALLOW_IPS says otherwise.
        headers = {"X-Forwarded-For": address}
        return service.http.post("/api/upload", files=files, headers=headers).status_code

    sent = [upload_for(address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")]
    assert sent == [202, 429, 202]


def test_the_share_of_a_client_is_counted_within_a_minute_and_apart_from_others() -> None:
    clock = HandClock()
    limits = ClientLimits(clock, jobs_per_minute=None, bytes_per_minute=10 * MIB)
    limits.admit("a", 8 * MIB)
    limits.admit("b", 8 * MIB)
    with pytest.raises(TooManyRequests, match="10 MiB a minute"):
        limits.admit("a", 3 * MIB)
    limits.admit("a", 2 * MIB)
    clock.monotonic_ahead = 61
    limits.admit("a", 30 * MIB)


def test_a_crowd_of_clients_is_not_remembered_for_ever() -> None:
    limits = ClientLimits(HandClock(), jobs_per_minute=1, bytes_per_minute=None)
    for number in range(10_500):
        limits.admit(str(number), 1)
    assert len(limits) == 10_000
