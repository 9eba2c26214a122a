"""A service that is started here: its port, its log, its exit, and the end of all it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from leak_suite.errors import SubjectError
from leak_suite.service_process import ServiceProcess

SERVER = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1")
ENDS = (sys.executable, "-c", "import sys; print('no database', flush=True); sys.exit(3)")
STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_the_port_template_becomes_the_port_that_the_url_names(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("hello")
    with ServiceProcess([*SERVER, "{port}"], folder=tmp_path) as service:
        service.wait_until_listening(60)
        with urllib.request.urlopen(f"{service.base_url}/page.txt", timeout=10) as answer:
            assert answer.read() == b"hello"
    assert not service.alive


def test_without_a_template_the_port_is_found_from_outside() -> None:
    with ServiceProcess([*SERVER, "0"]) as service:
        service.wait_until_listening(60)
        with urllib.request.urlopen(service.base_url, timeout=10) as answer:
            assert answer.status == 200


def test_the_environment_is_added_and_the_log_file_has_the_output(tmp_path: Path) -> None:
    print_variable = "import os; print(os.environ['SHOP'], os.environ['PATH'])"
    log = tmp_path / "service.log"
    with ServiceProcess(
        (sys.executable, "-c", print_variable), environment={"SHOP": "open"}, log=log
    ) as service:
        assert service.wait(30) == 0
        assert service.output().split() == ["open", os.environ["PATH"]]
    assert log.read_text().split()[0] == "open"


def test_a_service_that_ends_early_is_an_error_with_its_status_and_last_output() -> None:
    with (
        ServiceProcess(ENDS) as service,
        pytest.raises(SubjectError, match=r"ended with status 3: no database"),
    ):
        service.wait_until_listening(60)


def test_a_command_that_does_not_exist_is_an_error_that_names_it() -> None:
    with (
        ServiceProcess(["no-such-command"]) as service,
        pytest.raises(SubjectError, match=r"no-such-command cannot be run"),
    ):
        service.wait_until_listening(60)


def test_a_service_that_answers_with_an_error_is_not_healthy() -> None:
    with (
        ServiceProcess([*SERVER, "{port}"]) as service,
        pytest.raises(SubjectError, match=r"did not answer /health within 1 s"),
    ):
        service.wait_until_healthy(1)


def test_only_the_end_of_a_long_output_is_quoted() -> None:
    program = "print('first'); print('x' * 5000); print('last', flush=True); raise SystemExit(1)"
    with ServiceProcess((sys.executable, "-c", program)) as service:
        service.wait(30)
        text = service.describe_exit()
        assert text.endswith("last")
        assert "first" not in text
        assert len(text) < 2100


def test_stopping_ends_what_ignores_the_signal_and_what_it_started() -> None:
    service = ServiceProcess((sys.executable, "-c", STUBBORN))
    wait_for(lambda: service.output().strip())
    child = int(service.output())
    service.stop(0.2)
    assert service.exit_status == -signal.SIGKILL
    wait_for(lambda: is_gone(child))


def test_a_service_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "from leak_suite.service_process import ServiceProcess\nimport time\n"
        f"service = ServiceProcess(({sys.executable!r}, '-c', 'import time; time.sleep(600)'))\n"
        "print(service.pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen((sys.executable, "-c", program), stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: is_gone(pid))
