"""The run file of a fit: written, read back, described by its schema, and refused where unknown."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from leak_suite.cli import main
from leak_suite.errors import RunFileError
from leak_suite.fit import FitResult
from leak_suite.fit.result import (
    FitCause,
    Headroom,
    KernelCounters,
    KilledProcess,
    MemoryLimit,
    MinimumSearch,
    PageCacheDrop,
    Peak,
    SearchStep,
    UnlimitedTrial,
)
from leak_suite.result import Outcome, RunResult, Series
from leak_suite.result_file import read_result, result_from_json

SCHEMA = json.loads(files("leak_suite").joinpath("fit.schema.json").read_text(encoding="utf-8"))
PEAK = Peak(anon=4096, file=None, kernel=1024, unreclaimable=5120, pss=9000)
KILLED = FitResult(
    subject="shop:app under work.py:visit",
    environment={"python": "3.11.2"},
    fits=False,
    cause=FitCause.KILLED,
    reason="the kernel killed the server itself",
    limit=MemoryLimit(1 << 20, "1 MiB", "cgroup v1", True, "off", {"cgroup v2": "not mounted"}),
    users=2,
    iterations=3,
    seconds=1.5,
    peak=PEAK,
    counters=KernelCounters(oom_kills=1, limit_hits=4, major_faults=7.0),
    start_seconds=0.5,
    slowdown=1.25,
    headroom=Headroom(-10, "smallest passing limit"),
    killed=(KilledProcess(7, "python -m shop", True, 4096),),
    server_alive=False,
    minimum=MinimumSearch(2 << 20, 4096, (SearchStep(1, False, FitCause.THRASHING, 2, 0.1, 3.0),)),
    without_limit=UnlimitedTrial(3, 1.0, 0.4, PEAK),
    page_cache=PageCacheDrop("posix_fadvise", 3, 9000, None),
    series=(Series("anon", "bytes", ((1, 4096.0), (2, None))),),
    command=("leak-suite", "fit", "--memory", "1M"),
)
OLD = Path(__file__).with_name("golden") / "runs"


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    KILLED.write(tmp_path / "out" / "fit.json")
    assert read_result(tmp_path / "out" / "fit.json") == KILLED


def test_the_schema_describes_all_that_is_written() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(KILLED.to_json()), SCHEMA)


def test_the_schema_refuses_a_field_that_it_does_not_know() -> None:
    data = {**json.loads(KILLED.to_json()), "held": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(
    ("fits", "outcome", "status"),
    [(True, Outcome.STABLE, 0), (False, Outcome.OVER_BUDGET, 1), (None, Outcome.INCONCLUSIVE, 2)],
)
def test_the_outcome_gives_the_exit_status(
    fits: bool | None, outcome: Outcome, status: int, tmp_path: Path
) -> None:
    data = {**json.loads(KILLED.to_json()), "fits": fits}
    (tmp_path / "fit.json").write_text(json.dumps(data))
    assert read_result(tmp_path / "fit.json").outcome is outcome
    assert main(["show", str(tmp_path / "fit.json")]) == status


def test_a_run_file_of_the_first_version_is_read_as_the_same_fit() -> None:
    result = read_result(OLD / "fits.json")
    assert isinstance(result, FitResult)
    assert result.peak.unreclaimable == 205 << 20
    assert result.headroom == Headroom(300 << 20, "smallest passing limit")
    assert result.minimum is not None
    assert [step.cause for step in result.minimum.steps] == [FitCause.FITS, FitCause.KILLED]
    assert result.sentence == "fits in 512 MiB: 20 iterations, no kill"
    assert result_from_json(result.to_json()) == result


def test_another_file_is_read_as_the_run_that_it_is() -> None:
    assert isinstance(read_result(OLD / "growing.json"), RunResult)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version 99 of a fit is unknown"),
        ({"cause": "bad luck"}, "not the run file of a fit"),
        ({"peak": None}, "not the run file of a fit"),
        ({"surprise": 1}, "not the run file of a fit"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_reason(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "fit.json"
    path.write_text(json.dumps({**json.loads(KILLED.to_json()), **change}))
    with pytest.raises(RunFileError, match=message) as refused:
        read_result(path)
    assert str(path) in str(refused.value)


def test_a_fit_is_no_run_that_can_be_compared(tmp_path: Path) -> None:
    KILLED.write(tmp_path / "fit.json")
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
