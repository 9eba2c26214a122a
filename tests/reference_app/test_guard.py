"""The memory guard: what it counts, when it cleans up, refuses, and takes again."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from reference_app.factories import ServiceFactories, make_guard
from reference_app.logs import make_logger
from reference_app.memory.guard import MemoryGuard, Reading, measure
from reference_app.memory.reading import Limit, Usage, container_limit, process_tree, usage_of
from reference_app.settings import MIB, Settings
from tests.reference_app.conftest import HandClock, Running, until
from tests.reference_app.stand_in_engine import make_engine


def reading(resting_mb: float, workers_mb: float = 0) -> Reading:
    tree = int((resting_mb + workers_mb) * MIB)
    workers = Usage(int(workers_mb * MIB), int(workers_mb * MIB))
    return Reading(tree=Usage(tree, tree), workers=workers, api=Usage(tree, tree), processes=1)


class Scripted:
    """A guard on made-up readings."""

    def __init__(self, *, limit_mb: int = 512, cleaned_to: float | None = None) -> None:
        self.now = reading(100)
        self.cleaned = 0
        self.cleaned_to = cleaned_to
        self.log = io.StringIO()
        self.clock = HandClock()
        self.guard = MemoryGuard(
            settings=Settings(memory_soft_mb=400, memory_hard_mb=450),
            limit=Limit(limit_mb * MIB, "test"),
            clock=self.clock,
            log=make_logger("info", self.log),
            worker_pids=tuple,
            measure=self.measure,
            clean=self.clean,
        )

    def measure(self, _pids: Callable[[], Collection[int]]) -> Reading:
        return self.now

    def clean(self) -> None:
        self.cleaned += 1
        if self.cleaned_to is not None:
            self.now = reading(self.cleaned_to)

    def has_room(self) -> bool:
        return asyncio.run(self.guard.has_room())

    def lines(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize(
    ("resting_mb", "room"), [(399, True), (449.999, True), (450, False), (450.001, False)]
)
def test_it_refuses_if_and_only_if_resting_memory_is_at_the_hard_limit(
    resting_mb: float, room: bool
) -> None:
    scripted = Scripted()
    scripted.now = reading(resting_mb)
    assert scripted.has_room() is room


def test_running_workers_are_no_reason_to_refuse() -> None:
    scripted = Scripted()
    scripted.now = reading(200, workers_mb=400)
    assert scripted.has_room()
    assert scripted.cleaned == 0


@pytest.mark.parametrize(("resting_mb", "cleaned"), [(399.999, 0), (400, 1)])
def test_it_cleans_up_from_the_soft_limit(resting_mb: float, cleaned: int) -> None:
    scripted = Scripted()
    scripted.now = reading(resting_mb)
    assert scripted.has_room()
    assert scripted.cleaned == cleaned


def test_a_clean_up_that_helps_makes_room_at_once() -> None:
    scripted = Scripted(cleaned_to=300)
    scripted.now = reading(500)
    assert scripted.has_room()
    assert scripted.lines("memory cleaned up")


def test_clean_ups_keep_a_distance() -> None:
    scripted = Scripted()
    scripted.now = reading(420)
    for _ in range(5):
        scripted.has_room()
    assert scripted.cleaned == 1
    scripted.clock.monotonic_ahead = 5
    scripted.has_room()
    assert scripted.cleaned == 2


def test_an_excess_is_forgotten_as_soon_as_it_is_over() -> None:
    scripted = Scripted()
    scripted.now = reading(500)
    assert not scripted.has_room()
    scripted.now = reading(200)
    assert scripted.has_room()


def test_alarms_ring_once_at_each_level_and_again_after_a_fall() -> None:
    scripted = Scripted(limit_mb=100)
    levels = []
    for percent in (69.9, 70, 75, 80, 95, 95, 50, 91):
        scripted.now = reading(percent)
        asyncio.run(scripted.guard.read())
    levels = [line["level_percent"] for line in scripted.lines("memory alarm")]
    assert levels == [70, 80, 90, 90]


@pytest.mark.parametrize(
    ("percent", "status"),
    [(59.9, "healthy"), (60, "warning"), (79.9, "warning"), (80, "critical")],
)
def test_the_status_follows_the_share_of_the_limit(percent: float, status: str) -> None:
    assert Scripted(limit_mb=100).guard.status(reading(percent)) == status


def test_the_tree_and_its_workers_are_what_the_kernel_says() -> None:
    allocation = "import time; b = b'x' * (40 << 20); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", allocation], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            found = measure(lambda: [child.pid])
            assert child.pid in process_tree(os.getpid())
            assert found.workers.pss == pytest.approx(
                psutil.Process(child.pid).memory_full_info().pss, rel=0.05
            )
            assert found.workers.pss > 40 * MIB
            assert found.resting == found.tree.pss - found.workers.pss
            without = measure(tuple)
            assert without.resting - found.resting > 40 * MIB
        finally:
            child.kill()


def test_a_process_that_is_gone_counts_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert usage_of([child.pid]) == {}


def container(tmp_path: Path, cgroup: str, mountinfo: str) -> Path:
    (tmp_path / "cgroup").write_text(cgroup)
    (tmp_path / "mountinfo").write_text(mountinfo)
    return tmp_path


def group(folder: Path, name: str, value: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"{value}\n")


def test_the_tightest_limit_of_version_2_counts(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    group(mount, "memory.max", "max")
    group(mount / "a", "memory.max", 512 * MIB)
    group(mount / "a" / "b", "memory.max", "max")
    info = f"31 23 0:28 / {mount} rw - cgroup2 cgroup2 rw\n"
    proc = container(tmp_path, "0::/a/b\n", info)
    assert container_limit(proc) == Limit(512 * MIB, "cgroup v2")


def test_the_limit_of_version_1_is_found_by_its_mount(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    group(mount, "memory.limit_in_bytes", 9223372036854771712)
    group(mount / "g", "memory.limit_in_bytes", 300 * MIB)
    info = (
        f"31 23 0:28 / {tmp_path} rw - cgroup cgroup rw,cpu\n"
        f"32 23 0:28 / {mount} rw - cgroup cgroup rw,memory\n"
    )
    proc = container(tmp_path, "4:memory:/g\n1:cpu:/x\n", info)
    assert container_limit(proc) == Limit(300 * MIB, "cgroup v1")


def test_inside_a_container_the_mount_is_its_group(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    group(mount, "memory.limit_in_bytes", 256 * MIB)
    info = f"32 23 0:28 /docker/abc {mount} rw - cgroup cgroup rw,memory\n"
    proc = container(tmp_path, "4:memory:/docker/abc\n", info)
    assert container_limit(proc) == Limit(256 * MIB, "cgroup v1")


def test_without_a_limit_the_plan_counts_and_says_so(
    tmp_path: Path, serve: Callable[..., Running]
) -> None:
    assert container_limit(container(tmp_path, "", "")) is None
    limit = serve(memory_limit_mb=777).memory()["memory"]
    if "cgroup" not in limit["limit_source"]:
        assert limit["limit_bytes"] == 777 * MIB
        assert "MEMORY_LIMIT_MB" in limit["limit_source"]


class Excess:
    """A figure that a test can push over the limit, under a real service."""

    def __init__(self) -> None:
        self.resting_mb = 100.0

    def parts(self) -> ServiceFactories:
        guard = partial(make_guard, measure=lambda _: reading(self.resting_mb))
        return replace(ServiceFactories(engine=make_engine), guard=guard)


def test_the_service_refuses_under_an_excess_and_takes_again_after_it(
    serve: Callable[..., Running],
) -> None:
    excess = Excess()
    service = serve(excess.parts(), memory_interval_seconds=0.05)
    assert service.upload().status_code == 202
    excess.resting_mb = 450
    refused = service.upload()
    assert refused.status_code == 503
    assert refused.json()["reason"] == "memory"
    assert int(refused.headers["retry-after"]) >= 1
    assert service.container.admission.uploading == 0
    excess.resting_mb = 449
    assert service.upload().status_code == 202


def test_a_job_that_may_not_start_waits(serve: Callable[..., Running]) -> None:
    excess = Excess()
    service = serve(excess.parts())
    running = [service.start("hold") for _ in range(2)]
    for job_id in running:
        service.wait(job_id, "processing")
    waiting = service.start()
    excess.resting_mb = 460
    service.release()
    for job_id in running:
        service.wait(job_id, "completed")
    until(lambda: service.container.guard.peak_resting_bytes >= 460 * MIB)
    assert service.status(waiting)["status"] == "pending"
    excess.resting_mb = 100
    service.wait(waiting, "completed")


def test_a_real_excess_is_noticed_and_recovered_from(serve: Callable[..., Running]) -> None:
    service = serve(memory_soft_mb=1, memory_hard_mb=100_000)
    resting = service.memory()["memory"]["resting_bytes"] // MIB
    tight = serve(memory_soft_mb=resting + 40, memory_hard_mb=resting + 60)
    assert tight.upload().status_code == 202
    allocation = bytearray(b"x") * (120 * MIB)
    assert tight.upload().status_code == 503
    del allocation
    assert until(lambda: tight.upload().status_code == 202)
