"""The table of metrics, and reading a process tree from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leak_suite.metrics import METRICS, QuickSample, bytes_per_unit, metric_named, priority
from leak_suite.metrics.crosscheck import cross_check
from leak_suite.metrics.process_tree import ProcessTree, proc_bytes
from leak_suite.subject.agent_code import agent_module


def test_every_metric_says_what_it_cannot_see_and_who_covers_for_it() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.description
        assert metric.blind_to
        assert metric.inside or metric.outside
        assert set(metric.covering_metrics) <= set(METRICS)


def test_every_metric_that_the_agent_reads_is_in_the_table() -> None:
    reader = agent_module("metric_reader").MetricReader("")
    for metric in reader.read():
        assert metric_named(metric).inside
    assert set(agent_module("metric_reader").METRICS) == set(reader.read())


def test_families_have_a_metric_for_every_member() -> None:
    assert metric_named("tracked:Detector").exact
    assert metric_named("counter:jobs").name == "counter:jobs"
    assert metric_named("counter:memory.rss_mb").unit == "bytes"
    assert not metric_named("counter:memory.rss_mb").exact
    with pytest.raises(KeyError):
        metric_named("unheard_of")


def test_the_growth_guard_reads_what_has_a_limit_in_its_order() -> None:
    limited = [name for name, metric in METRICS.items() if metric.guard_limit is not None]
    assert sorted(limited) == sorted(QuickSample._fields)
    limits = tuple(METRICS[name].guard_limit for name in QuickSample._fields)
    assert limits == agent_module("growth_guard")._LIMITS


def test_every_metric_has_a_place_in_the_order_of_reports() -> None:
    places = [priority(name) for name in (*METRICS, "tracked:Detector", "counter:jobs")]
    assert len(set(places)) == len(places)
    assert max(places) < priority("unheard_of")


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("rss_bytes", 1),
        ("memory.rss_mb", 1024**2),
        ("heap", 1),
        ("used_kib", 1024),
        ("memory.percent", None),
        ("jobs.kept", None),
        ("number", None),
    ],
)
def test_memory_counters_are_known_by_their_name(name: str, factor: float | None) -> None:
    assert bytes_per_unit(name) == factor


def test_outside_probes_see_what_a_child_process_takes() -> None:
    checks = cross_check()
    assert set(checks) == {"rss", "rss_anon", "pss", "fds", "threads"}
    assert all(reason is None for _, _, reason in checks.values()), checks


def test_a_tree_counts_its_descendants() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as parent:
        tree = ProcessTree(parent.pid)
        while tree.read()["children"] != 1:
            assert parent.poll() is None
        assert tree.quick_sample().children == 1
        assert parent.stdin is not None
        parent.stdin.close()
    assert not tree.alive
    assert set(tree.read().values()) == {None}


def test_a_missing_line_is_unknown_and_not_zero() -> None:
    assert proc_bytes("Pss:    12 kB\nPss_Anon: 5 kB\n", "Pss") == 12 * 1024
    assert proc_bytes("VmRSS: 3 kB\n", "Pss") is None


def test_a_system_without_proc_says_unknown(tmp_path: Path) -> None:
    proc = agent_module("proc").Proc(str(tmp_path / "nothing"))
    assert proc.memory() == (None, None, None)
    assert (proc.fds(), proc.threads(), proc.children()) == (None, None, None)
    assert proc.reset_peak() is False
    assert proc.open_files() == proc.thread_names() == []


def test_a_proc_folder_is_read_as_linux_writes_it(tmp_path: Path) -> None:
    status = "Name:\tx\nVmHWM:\t 300 kB\nVmRSS:\t 200 kB\nRssAnon:\t 100 kB\n"
    (tmp_path / "status").write_text(status)
    for folder in ("fd", "task/7", "task/8"):
        (tmp_path / folder).mkdir(parents=True)
    for fd in (0, 1, 2, 9):
        (tmp_path / "fd" / str(fd)).symlink_to(os.devnull)
    (tmp_path / "task/7/children").write_text("70 71 ")
    (tmp_path / "task/8/children").write_text("80 ")
    (tmp_path / "task/7/comm").write_text("worker\n")
    proc = agent_module("proc").Proc(str(tmp_path))
    assert proc.memory() == (200 * 1024, 100 * 1024, 300 * 1024)
    assert (proc.fds(), proc.threads(), proc.children()) == (3, 2, 3)
    assert (7, "worker") in proc.thread_names()
    assert (9, os.devnull) in proc.open_files()


def test_a_platform_without_glibc_has_no_heap_figure() -> None:
    library = agent_module("native").CLibrary(platform="darwin")
    assert library.live_heap() is None
    library.trim()
    library.die_with_parent()


def test_the_heap_figure_moves_with_what_is_allocated() -> None:
    library = agent_module("native").CLibrary()
    before = library.live_heap()
    block = bytearray(3 << 20)
    assert library.live_heap() - before >= len(block)


def test_frozen_objects_that_are_replaced_do_not_count_twice() -> None:
    reader = agent_module("metric_reader").MetricReader("")
    old: list[list[object]] = [[] for _ in range(5000)]
    reader.freeze()
    try:
        before = reader.gc_objects()
        for index in range(len(old)):
            old[index] = []
        assert abs(reader.gc_objects() - before) < 100
        more: list[list[object]] = [[] for _ in range(1000)]
        assert reader.gc_objects() - before >= len(more) - 100
    finally:
        reader.thaw()


def test_a_probe_that_misses_what_it_is_shown_is_blind_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = agent_module("metric_reader").MetricReader(str(tmp_path))
    monkeypatch.setattr(reader.library, "live_heap", lambda: 0)  # as under a preloaded allocator
    checks = agent_module("selfcheck").check_probes(reader, str(tmp_path))
    shown, seen, reason = checks["heap"]
    assert (shown, seen) == (1 << 20, 0)
    assert "0 seen" in reason
    assert reader.read()["heap"] is None
    assert set(reader.blind) == {"heap"}
