"""Control groups as folders: version 2 and 1, where they are made, and who may not."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from leak_suite.errors import LimitUnavailable
from leak_suite.fit.backends import DockerContainer, SystemdScope, folder_factory, select_backend
from leak_suite.fit.cgroup import CgroupV1, CgroupV2, Folders

V2 = {
    "memory.max": "max\n",
    "memory.swap.max": "max\n",
    "memory.stat": "anon 4096\nfile 8192\nkernel 1024\nshmem 512\npgmajfault 7\n"
    "workingset_refault_anon 1\nworkingset_refault_file 2\n",
    "memory.events": "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\n",
    "memory.pressure": "some avg10=0.00 total=9\nfull avg10=0.00 avg60=0.00 total=2500000\n",
    "cgroup.procs": "",
    "cgroup.controllers": "cpu memory\n",
    "cgroup.subtree_control": "memory\n",
}
V1 = {
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.memsw.limit_in_bytes": "9223372036854771712\n",
    "memory.kmem.usage_in_bytes": "1024\n",
    "memory.failcnt": "1\n",
    "memory.memsw.failcnt": "4\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "memory.stat": "cache 1\ntotal_rss 4096\ntotal_cache 8192\ntotal_shmem 512\n"
    "total_pgmajfault 7\ntotal_workingset_refault_anon 1\ntotal_workingset_refault_file 2\n",
    "cgroup.procs": "",
}


def kernel(files: dict[str, str], *without: str) -> Folders:
    """Folders that come with files, as the kernel makes them."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for name, text in files.items():
            if name not in without:
                (folder / name).write_text(text)

    return Folders(make, shutil.rmtree)


def test_a_version_2_group_has_its_limit_and_no_swap(tmp_path: Path) -> None:
    group = CgroupV2(tmp_path / "g", 512, folders=kernel(V2))
    assert (group.folder / "memory.max").read_text() == "512\n"
    assert (group.folder / "memory.swap.max").read_text() == "0\n"
    group.close()
    assert list(tmp_path.iterdir()) == []


def test_a_version_1_group_has_its_limit_and_no_swap(tmp_path: Path) -> None:
    group = CgroupV1(tmp_path / "g", 512, folders=kernel(V1))
    assert (group.folder / "memory.limit_in_bytes").read_text() == "512\n"
    assert (group.folder / "memory.memsw.limit_in_bytes").read_text() == "512\n"
    group.close()
    assert list(tmp_path.iterdir()) == []


def test_without_swap_accounting_version_1_is_reported_not_to_swap(tmp_path: Path) -> None:
    group = CgroupV1(tmp_path / "g", 9, folders=kernel(V1, "memory.memsw.limit_in_bytes"))
    assert (group.folder / "memory.swappiness").read_text() == "0\n"


def test_both_versions_give_the_same_stats(tmp_path: Path) -> None:
    new = CgroupV2(tmp_path / "2", 512, folders=kernel(V2)).stats()
    old = CgroupV1(tmp_path / "1", 512, folders=kernel(V1)).stats()
    assert (new.anon, new.file, new.kernel, new.shmem) == (4096, 8192, 1024, 512)
    assert (old.anon, old.file, old.kernel, old.shmem) == (4096, 8192, 1024, 512)
    for stats in (new, old):
        assert stats.unreclaimable == 4096 + 1024 + 512
        assert (stats.oom_kills, stats.limit_hits) == (1, 5)
        assert (stats.major_faults, stats.refaults) == (7, 3)
    assert new.stalled_seconds == 2.5
    assert old.stalled_seconds is None


def test_before_linux_5_18_the_kernel_memory_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    stat_ = "anon 1\nfile 2\nkernel_stack 10\npagetables 20\npercpu 30\nsock 40\nslab 50\n"
    group = CgroupV2(tmp_path / "g", 9, folders=kernel({**V2, "memory.stat": stat_}))
    assert group.stats().kernel == 150


def test_stats_that_cannot_be_read_are_unknown_and_not_zero(tmp_path: Path) -> None:
    group = CgroupV2(tmp_path / "g", 9, folders=kernel(V2))
    for name in ("memory.stat", "memory.events", "memory.pressure"):
        (group.folder / name).unlink()
    stats = group.stats()
    assert (stats.anon, stats.unreclaimable, stats.oom_kills, stats.stalled_seconds) == (None,) * 4


@pytest.mark.parametrize(("make", "files"), [(CgroupV2, V2), (CgroupV1, V1)])
def test_a_group_without_the_memory_controller_is_refused_and_removed(
    tmp_path: Path, make: Callable[..., object], files: dict[str, str]
) -> None:
    folders = kernel(files, "memory.max", "memory.limit_in_bytes")
    with pytest.raises(LimitUnavailable, match="no memory controller"):
        make(tmp_path / "g", 9, folders=folders)
    assert list(tmp_path.iterdir()) == []


def test_a_group_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(LimitUnavailable, match="cannot be made: No such file"):
        CgroupV2(tmp_path / "not" / "there", 9)


def test_a_command_joins_before_it_becomes_itself(tmp_path: Path) -> None:
    group = CgroupV2(tmp_path / "g", 9, folders=kernel(V2))
    done = subprocess.run(
        group.wrap(("sh", "-c", "echo $$")), capture_output=True, text=True, check=True
    )
    assert (group.folder / "cgroup.procs").read_text() == done.stdout


def test_a_command_that_cannot_join_is_never_run(tmp_path: Path) -> None:
    group = CgroupV2(tmp_path / "g", 9, folders=kernel(V2))
    argv = group.wrap(("touch", str(tmp_path / "ran")))
    shutil.rmtree(group.folder)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "cannot be joined" in done.stderr
    assert not (tmp_path / "ran").exists()


def proc(tmp_path: Path, kind: str, group: str, root: str = "/") -> tuple[Path, Path]:
    """(a made-up /proc/self, the mount that it tells of)."""
    folder, mount = tmp_path / "proc", tmp_path / "mount"
    folder.mkdir()
    mount.mkdir()
    options = "rw,memory" if kind == "cgroup" else "rw"
    line = f"35 31 0:32 {root} {mount} rw,relatime - {kind} {kind} {options}\n"
    (folder / "mountinfo").write_text(line)
    (folder / "cgroup").write_text(f"4:memory:{group}\n0::{group}\n")
    return folder, mount


def test_groups_are_made_below_the_group_of_this_process(tmp_path: Path) -> None:
    fake, mount = proc(tmp_path, "cgroup", "/job")
    (mount / "job").mkdir()
    factory = folder_factory(fake, "memory", lambda f, n: CgroupV1(f, n, folders=kernel(V1)))
    group = factory(9)
    assert isinstance(group, CgroupV1)
    assert group.folder.parent == mount / "job"


def test_where_the_own_group_allows_none_the_one_above_is_used(tmp_path: Path) -> None:
    fake, mount = proc(tmp_path, "cgroup2", "/job")
    (mount / "job").mkdir()
    for name, text in V2.items():
        (mount / name).write_text(text)
    factory = folder_factory(fake, "", lambda f, n: CgroupV2(f, n, folders=kernel(V2)))
    group = factory(9)
    assert isinstance(group, CgroupV2)
    assert group.folder.parent == mount


def test_in_a_container_the_mount_is_the_own_group(tmp_path: Path) -> None:
    fake, mount = proc(tmp_path, "cgroup", "/docker/abc", root="/docker/abc")
    factory = folder_factory(fake, "memory", lambda f, n: CgroupV1(f, n, folders=kernel(V1)))
    group = factory(9)
    assert isinstance(group, CgroupV1)
    assert group.folder.parent == mount


def test_a_version_2_parent_delegates_the_memory_controller(tmp_path: Path) -> None:
    fake, mount = proc(tmp_path, "cgroup2", "/")
    (mount / "cgroup.controllers").write_text("cpu memory\n")
    control = mount / "cgroup.subtree_control"
    control.write_text("cpu\n")
    folder_factory(fake, "", lambda f, n: CgroupV2(f, n, folders=kernel(V2)))
    assert control.read_text() == "+memory\n"


def test_empty_groups_of_killed_runs_are_removed(tmp_path: Path) -> None:
    fake, mount = proc(tmp_path, "cgroup", "/")
    left = mount / "leak-suite-999999999-abc"
    left.mkdir()
    folder_factory(fake, "memory", lambda f, n: CgroupV1(f, n, folders=kernel(V1)))
    assert not left.exists()


def test_without_control_groups_the_backend_says_so(tmp_path: Path) -> None:
    with pytest.raises(LimitUnavailable, match="no cgroup v2 is mounted"):
        folder_factory(tmp_path, "", CgroupV2)


def test_systemd_is_asked_for_a_scope_without_swap() -> None:
    argv = SystemdScope(512).wrap(("serve", "me"))
    assert argv[0] == "systemd-run"
    assert {"--scope", "MemoryMax=512", "MemorySwapMax=0"} <= set(argv)
    assert argv[-3:] == ("--", "serve", "me")


def test_the_stats_of_a_scope_are_those_of_its_group(tmp_path: Path) -> None:
    scope = SystemdScope(512, root=tmp_path)
    assert scope.stats().anon is None
    unit = next(w for w in scope.wrap(()) if w.startswith("--unit=")).removeprefix("--unit=")
    kernel(V2).make(tmp_path / unit)
    assert scope.stats().anon == 4096


def test_docker_is_given_as_much_swap_as_memory_which_is_none() -> None:
    argv = DockerContainer("img", 512).wrap(("serve",))
    assert {"--memory=512", "--memory-swap=512", "--rm"} <= set(argv)
    assert argv[-2:] == ("img", "serve")


def test_a_backend_that_does_not_work_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    backend = select_backend(only="systemd-run")
    assert not backend.enforced
    assert backend.unavailable == {"systemd-run": "systemd-run is not installed"}


def test_docker_without_an_image_is_not_tried() -> None:
    assert "--image" in select_backend(only="docker").unavailable["docker"]


def test_a_scope_that_systemd_refuses_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "systemd-run"
    fake.write_text("#!/bin/sh\necho the bus is down >&2\nexit 1\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert select_backend(only="systemd-run").unavailable == {"systemd-run": "the bus is down"}
