"""How a service is started and put under load: apps by name, async workloads, several users."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NoReturn

import jsonschema
import pytest

from leak_suite.cli import main
from leak_suite.errors import ConfigurationError
from leak_suite.fit import FitResult
from leak_suite.fit.load_generator import ClientPool, load_workload
from leak_suite.fit.trial import Load, run_trial
from leak_suite.render import RENDERERS, render
from leak_suite.result_file import read_result
from leak_suite.subject import AppSpec, CallableSpec

SCHEMA = Path(__file__).resolve().parents[2] / "leak_suite" / "fit.schema.json"
APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""
WORK = "async def hello(client): (await client.get('/')).raise_for_status()\n"


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "fit_work.py").write_text(WORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("app", ["served:app", "served.py:app"])
def test_an_app_is_started_and_loaded_by_an_async_workload(in_folder: Path, app: str) -> None:
    flags = ["--memory", "256M", "--backend", "docker", "--iterations", "6", "--users", "3"]
    status = main(
        ["fit", *flags, "--app", app, "--workload", "fit_work.py:hello", "-o", "run.json"]
    )
    assert status == 2  # started and under load, but under no limit
    result = read_result(in_folder / "run.json")
    assert result.iterations == 6
    assert isinstance(result, FitResult)
    assert result.users == 3
    assert result.command[:3] == ("leak-suite", "fit", "--memory")
    jsonschema.validate(json.loads(result.to_json()), json.loads(SCHEMA.read_text()))
    # The pages need the report extra, and have tests of their own.
    assert all(render(result, form) for form in RENDERERS if form != "html")


def no_cgroup(_: int | None) -> NoReturn:
    raise AssertionError("nothing may be started")


def test_what_is_no_service_cannot_be_tried() -> None:
    with pytest.raises(ConfigurationError, match="needs a service"):
        run_trial(CallableSpec("job:run"), no_cgroup, None, Load(1, 1, 1.0, 1.0))


def test_the_interpreter_of_an_app_can_be_chosen() -> None:
    argv = AppSpec("pkg.mod:app", "w:f", Path("/opt/python")).service_argv()
    assert argv[:4] == ("/opt/python", "-m", "uvicorn", "pkg.mod:app")
    assert argv[-2:] == ("--workers", "1")


@pytest.mark.parametrize("target", ["nowhere_at_all:f", "json:nothing", "json:__name__"])
def test_a_workload_that_cannot_be_used_says_why(target: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be loaded|is not callable"):
        load_workload(target)


def finished(users: ClientPool) -> ClientPool:
    until = time.monotonic() + 20
    while users.busy and time.monotonic() < until:
        time.sleep(0.005)
    users.join(5)
    return users


def test_users_share_the_iterations_and_work_at_the_same_time() -> None:
    together: list[int] = []
    inside = 0

    def work(_: object) -> None:
        nonlocal inside
        inside += 1
        together.append(inside)
        time.sleep(0.05)
        inside -= 1

    users = finished(ClientPool(work, "http://127.0.0.1:9", count=4, iterations=10))
    assert users.done == 10
    assert max(together) >= 3


def test_the_first_error_ends_all_users_and_is_kept() -> None:
    def work(_: object) -> None:
        raise AssertionError("the answer is wrong")

    users = finished(ClientPool(work, "http://127.0.0.1:9", count=3, iterations=1000))
    assert users.done == 0
    assert "the answer is wrong" in users.error
