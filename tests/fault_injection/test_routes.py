"""Whatever is sent to the routes that the service describes: an answer of its own, never a 500."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fault_injection.conftest import Plan
from tests.reference_app.conftest import Running, running, settings_for

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HEADERS = ("range", "if-range", "accept", "content-type", "transfer-encoding-x", "expect-x")
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
PRINTABLE = st.text(string.ascii_letters + string.digits + " -=;,*/\"'.:", max_size=40)
TYPES = st.sampled_from(["multipart/form-data; boundary=b", "application/json", "text/plain", "x"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("routes") / "spool")) as made:
        yield made


def shapes() -> st.SearchStrategy[bytes]:
    """Bodies: noise, and forms that are nearly right."""
    part = st.tuples(st.sampled_from([b"file", b"other", b""]), st.binary(max_size=60))
    form = st.lists(part, max_size=3).map(
        lambda parts: b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a.mp4"\r\n'
            b"Content-Type: video/mp4\r\n\r\n%s\r\n" % one
            for one in parts
        )
    )
    return st.one_of(st.binary(max_size=200), form, form.map(lambda body: body + b"--b--\r\n"))


def test_no_request_is_answered_with_500(service: Running, plan: Plan) -> None:
    described = service.http.get("/openapi.json").json()
    done = service.start()
    service.wait(done)
    ids = st.one_of(st.just(done), TEXT, st.sampled_from(["..", "%00", "a" * 5000, "\u202e", ""]))
    names = st.one_of(st.sampled_from(["video", "video.mp4", "csv", "../x"]), TEXT)

    @seed(plan.seed)
    @settings(
        max_examples=plan.repeats(150, 5000),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        path=st.sampled_from(sorted(described["paths"])),
        method=st.sampled_from(METHODS),
        values=st.fixed_dictionaries({"job_id": ids, "kind": names, "name": names}),
        query=st.dictionaries(PRINTABLE, PRINTABLE, max_size=2),
        headers=st.dictionaries(st.sampled_from(HEADERS), PRINTABLE, max_size=2),
        kind=TYPES,
        body=shapes(),
    )
    def ask(
        path: str, method: str, values: Any, query: Any, headers: Any, kind: str, body: bytes
    ) -> None:
        # The events of a job that holds never end; here every job has.
        url = path.format(**{name: quote(value, safe="") for name, value in values.items()})
        sent = {"content-type": kind, **{k: v.strip() for k, v in headers.items()}}
        try:
            answer = service.http.request(method, url, params=query, headers=sent, content=body)
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
            return
        assert answer.status_code < 500 or answer.status_code == 503, (method, url, answer.text)
        if answer.status_code >= 400 and method != "HEAD" and answer.text:
            assert answer.headers["content-type"].startswith("application/problem+json"), (
                answer.text
            )
            assert json.loads(answer.text)["status"] == answer.status_code

    ask()
    assert service.http.get("/health").json() == {"status": "ok"}
    assert not [event for event in service.events() if event["level"] == "error"]
    for job in service.http.get("/api/jobs").json()["jobs"]:
        service.wait(job["job_id"])
        service.http.delete(f"/api/cleanup/{job['job_id']}")
    assert service.files() == []


def test_the_description_names_every_route(service: Running) -> None:
    described = service.http.get("/openapi.json").json()["paths"]
    assert {"/api/upload", "/api/status/{job_id}", "/health/memory"} <= set(described)
    assert len(described) >= 12
