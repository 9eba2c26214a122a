"""The dashboard's figures: true, bounded, and asked of nobody but the service."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from reference_app.memory.history import MemoryHistory, Sample
from reference_app.recent_errors import RecentErrors
from tests.reference_app.conftest import Running, until

STATIC = Path(__file__).parents[2] / "reference_app" / "http" / "static"


def test_an_hour_of_readings_is_kept_and_no_more() -> None:
    history = MemoryHistory()
    for second in range(0, 3 * 3600, 2):
        history.record(1e9 + second, second, second)
    kept = history.since(0)
    assert len(kept) == len(history) == 720
    assert kept[-1].at - kept[0].at == 3600 - 5
    assert [sample.at for sample in kept] == sorted(sample.at for sample in kept)


def test_a_slot_keeps_its_highest_reading() -> None:
    history = MemoryHistory()
    for at, tree in ((100.0, 5), (101.0, 9), (104.9, 2), (105.0, 3)):
        history.record(at, tree, tree // 2)
    assert history.since(0) == [Sample(100.0, 9, 4), Sample(105.0, 3, 1)]
    assert history.since(101.0) == [Sample(105.0, 3, 1)]


def test_a_clock_that_is_set_back_neither_breaks_the_order_nor_loses_a_peak() -> None:
    history = MemoryHistory()
    history.record(1000.0, 1, 1)
    history.record(500.0, 7, 7)
    assert history.since(0) == [Sample(1000.0, 7, 7)]


def test_what_lies_more_than_an_hour_back_is_left_out_after_a_pause() -> None:
    history = MemoryHistory()
    history.record(0.0, 1, 1)
    history.record(4000.0, 2, 2)
    assert history.since(0) == [Sample(4000.0, 2, 2)]


def test_filling_the_history_takes_no_memory() -> None:
    history = MemoryHistory()
    tracemalloc.start()
    try:
        history.record(0.0, 1, 1)
        before = tracemalloc.get_traced_memory()[0]
        for slot in range(2000):
            history.record(slot * 5.0, slot, slot)
        # Other threads of the test run are traced too; 2,000 readings kept would be 64 KiB.
        assert tracemalloc.get_traced_memory()[0] - before < 16 * 1024
    finally:
        tracemalloc.stop()


def test_the_last_twenty_errors_are_kept_in_a_few_words_each() -> None:
    errors = RecentErrors()
    for number in range(50):
        errors.add(float(number), "job failed", f"{number} " + "x" * 10_000)
    kept = errors.entries()
    assert [entry.at for entry in kept] == [float(n) for n in range(49, 29, -1)]
    assert max(len(entry.text) for entry in kept) == 300


def test_the_figures_agree_with_those_of_health(serve: Callable[..., Running]) -> None:
    service = serve(memory_interval_seconds=0.05)
    until(lambda: service.http.get("/monitor/data").json()["history"]["rows"])
    shown, health = service.http.get("/monitor/data").json(), service.memory()
    assert shown["memory"]["tree_bytes"] == pytest.approx(health["memory"]["tree_bytes"], rel=0.1)
    assert shown["memory"]["limit_bytes"] == health["memory"]["limit_bytes"]
    assert shown["memory"]["soft_bytes"] == 400 * 1024 * 1024
    assert shown["status"] == health["status"]
    at, tree, resting = shown["history"]["rows"][-1]
    assert at <= shown["now"] < at + 60
    assert 0 < resting <= tree <= shown["memory"]["peak_bytes"]


def test_jobs_queue_and_errors_are_those_of_the_service(service: Running) -> None:
    held = [service.start("hold") for _ in range(3)]
    service.wait(held[0], "processing")
    service.wait(held[1], "processing")
    assert service.upload(b"no video").status_code == 422
    shown = service.http.get("/monitor/data").json()
    assert (shown["jobs"]["processing"], shown["jobs"]["pending"]) == (2, 1)
    assert shown["queue"] == {
        "running": 2, "slots": 2, "waiting": 1, "capacity": 10, "uploading": 0,
    }  # fmt: skip
    service.release()
    service.wait(held[2])
    failed = service.wait(service.start("unreadable"))
    errors = service.http.get("/monitor/data").json()["errors"]
    assert [error["kind"] for error in errors] == ["job failed", "upload refused (422)"]
    assert errors[0]["text"] == failed["error"]


def test_a_second_question_brings_only_what_is_new(serve: Callable[..., Running]) -> None:
    service = serve(memory_interval_seconds=0.05)
    rows = until(lambda: service.http.get("/monitor/data").json()["history"]["rows"])
    later = service.http.get("/monitor/data", params={"since": rows[-1][0]}).json()
    assert later["history"]["rows"][0][0] >= rows[-1][0]
    none = service.http.get("/monitor/data", params={"since": rows[-1][0] + 1e6}).json()
    assert none["history"]["rows"] == []


def test_the_page_may_ask_nobody_else(service: Running) -> None:
    for path, kind in (
        ("/monitor", "text/html"),
        ("/monitor/monitor.js", "text/javascript"),
        ("/monitor/monitor.css", "text/css"),
    ):
        answer = service.http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert not re.search(r"https?:|unsafe|\*", policy)
    assert service.http.get("/monitor/monitor.html").status_code == 404


def test_no_file_of_the_page_names_another_host_and_all_are_small() -> None:
    for file in STATIC.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"']+", file.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}
        assert file.stat().st_size < 16_384
