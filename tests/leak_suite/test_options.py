"""Options are resolved in one place, and every wrong one is refused with what to write instead."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from leak_suite.errors import ConfigurationError
from leak_suite.options import (
    Accepted,
    Layer,
    Options,
    resolve,
)

MIB = 1024**2


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(
        """
        [tool.leak_suite]
        max-seconds = "30s"
        tracked = ["shop.db:Cursor"]
        budgets = { peak = "260 MiB", heap = 1000 }
        [tool.leak_suite.workloads.import_orders]
        max_seconds = 20
        [tool.leak_suite.workloads."jobs:import_orders"]
        max_threads = 7
        [[tool.leak_suite.accepted]]
        pattern = "*/site-packages/legacy/*"
        reason = "known, fixed in legacy 3"
        max_per_iteration = "2 KiB"
        expires = 2030-01-31
        """
    )
    return tmp_path


def test_without_any_configuration_the_defaults_hold(tmp_path: Path) -> None:
    assert resolve({}, tmp_path) == Options()


def test_a_flag_wins_over_a_layer_over_a_workload_over_the_file(project: Path) -> None:
    ini = [Layer("ini", {"max_seconds": "10"})]
    assert resolve({}, project).max_seconds == 30
    assert resolve({}, project, workload="import_orders").max_seconds == 20
    assert resolve({}, project, workload="import_orders", layers=ini).max_seconds == 10
    flags = {"max_seconds": "5"}
    assert resolve(flags, project, workload="import_orders", layers=ini).max_seconds == 5


def test_a_tolerance_is_a_size_or_a_number_of_a_known_metric(tmp_path: Path) -> None:
    options = resolve({"tolerances": ["heap=4 KiB", "blocks=32"]}, tmp_path)
    assert options.tolerances == {"heap": 4096, "blocks": 32}
    with pytest.raises(ConfigurationError, match=r"tolerances: unknown metric 'bloks'.*'blocks'"):
        resolve({"tolerances": ["bloks=1"]}, tmp_path)


def test_a_flag_that_was_not_given_hides_nothing(project: Path) -> None:
    assert resolve({"max_seconds": None}, project).max_seconds == 30


def test_a_workload_is_found_by_its_name_and_by_its_whole_target(project: Path) -> None:
    options = resolve({}, project, workload="jobs:import_orders")
    assert (options.max_seconds, options.max_threads) == (20, 7)


def test_the_file_of_a_parent_folder_is_found(project: Path) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    assert resolve({}, below).max_seconds == 30


def test_tables_and_lists_are_joined(project: Path) -> None:
    options = resolve({"budgets": ["peak=1MiB"], "tracked": ["shop.db:Pool"]}, project)
    assert options.budgets == {"peak": MIB, "heap": 1000}
    assert options.tracked == ("shop.db:Cursor", "shop.db:Pool")


def test_an_accepted_leak_is_data_with_a_reason_a_bound_and_an_end(project: Path) -> None:
    (known,) = resolve({}, project).accepted
    frames = ["/env/site-packages/legacy/pool.py:12 grow"]
    assert known == Accepted(
        "*/site-packages/legacy/*", "known, fixed in legacy 3", 2048.0, date(2030, 1, 31)
    )
    assert known.covers(frames, 2048, date(2030, 1, 31))
    assert not known.covers(frames, 2049, date(2030, 1, 31))
    assert not known.covers(frames, None, date(2030, 1, 31))
    assert not known.covers(frames, 2048, date(2030, 2, 1))
    assert not known.covers(["app.py:1 f"], 1, date(2030, 1, 31))


def test_a_known_leak_is_accepted_by_its_name_alone(tmp_path: Path) -> None:
    (one,) = resolve({"accepted": [{"known": "mediapipe-closed-detector"}]}, tmp_path).accepted
    assert one.covers(["/lib/mediapipe/solution_base.py:345 process"], 930.0, date(2026, 1, 1))
    assert not one.covers(["/lib/mediapipe/solution_base.py:345 process"], 9e6, date(2026, 1, 1))
    assert "MediaPipe" in one.reason


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"known": "opencv-file-names"}, "leaves no frame of its own, needs a pattern"),
        ({"known": "opencv-file-name"}, "opencv-file-names"),
        ({"known": "nobody-heard-of-it"}, "known are mediapipe-closed-detector, opencv-"),
    ],
)
def test_a_known_leak_that_cannot_be_used_says_what_to_write(
    entry: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolve({"accepted": [entry]}, tmp_path)


def test_an_accepted_leak_without_a_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs a reason"):
        resolve({"accepted": [{"pattern": "*"}]}, tmp_path)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"max_secs": 1}, "unknown option 'max_secs'; did you mean 'max_seconds'?"),
        ({"budgets": ["peek=1MiB"]}, "unknown metric 'peek'; did you mean 'peak'?"),
        ({"budgets": ["peak"]}, "'peak' must be written name=value"),
        ({"budgets": ["peak=lots"]}, "'lots' is not a size"),
        ({"max_seconds": "soon"}, "'soon' is not a duration"),
        ({"max_seconds": 0}, "must be above zero"),
        ({"tracked": ["Cursor"]}, "'Cursor' must be written module:name"),
        ({"counters": ["jobs=shop.jobs"]}, "must be written module:name"),
        ({"python": "/nowhere/python"}, "no interpreter at /nowhere/python"),
        ({"inconclusive": "ignore"}, 'must be "fail" or "warn"'),
        ({"max_threads": "many"}, "not a whole number"),
        ({"quiet": "maybe"}, "neither true nor false"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_write(
    flags: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(flags, tmp_path)
    assert sentence in str(caught.value)


def test_an_error_names_the_table_it_stands_in(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.leak_suite.workloads.w]\nspeed = 1\n")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml \[tool\.leak_suite\.workloads"):
        resolve({}, tmp_path, workload="w")


def test_a_broken_file_is_an_error_and_not_a_default(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.leak_suite\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        resolve({}, tmp_path)


def test_budgets_know_declared_counters_and_tracked_classes(tmp_path: Path) -> None:
    flags = {
        "tracked": ["shop.db:Cursor"],
        "counters": {"jobs": "shop.jobs:count"},
        "budgets": {"tracked:Cursor": 3, "counter:jobs": 10},
    }
    assert resolve(flags, tmp_path).budgets == {"tracked:Cursor": 3.0, "counter:jobs": 10.0}


def test_a_path_in_the_file_means_a_path_beside_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.leak_suite]\noutput = "out/run.json"\n')
    below = tmp_path / "below"
    below.mkdir()
    assert resolve({}, below).output == tmp_path / "out" / "run.json"


def test_a_virtual_environments_interpreter_keeps_its_own_path(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    (tmp_path / "python").symlink_to(real)
    assert resolve({"python": tmp_path / "python"}, tmp_path).python == tmp_path / "python"
