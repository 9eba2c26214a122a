"""The configuration of Render and docker: the blueprint, the Dockerfile, and the lock."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leak_suite.fit import PLANS
from reference_app.memory.allocator import worker_environment
from reference_app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
START = "python -m reference_app --host 0.0.0.0"
GUI = re.compile(r"lib(GL|EGL|GLX|X11|xcb|Qt\d?|gtk|gdk)[-.\w]*\.so")


def blueprint() -> dict[str, str]:
    """The keys of the one service. Read line by line: the tests' environment has no YAML."""
    lines = (ROOT / "render.yaml").read_text().splitlines()
    found = (re.fullmatch(r" {2}[- ] (\w+): (.+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def variables() -> dict[str, str]:
    text = (ROOT / "render.yaml").read_text()
    pairs = re.findall(r"- key: (\w+)\n +value: (.+)", text)
    return {name: value.strip('"') for name, value in pairs}


def test_the_blueprint_is_yaml_that_says_the_same() -> None:
    yaml = pytest.importorskip("yaml", reason="no YAML reader here: read line by line only")
    (service,) = yaml.safe_load((ROOT / "render.yaml").read_text())["services"]
    assert {k: str(v) for k, v in service.items() if k != "envVars"} == blueprint()
    assert {one["key"]: one["value"] for one in service["envVars"]} == variables()
    assert all(isinstance(one["value"], str) for one in service["envVars"])


def test_the_blueprint_deploys_only_what_has_passed_and_asks_the_cheap_health_path() -> None:
    service = blueprint()
    assert service["autoDeployTrigger"] == "checksPass"
    assert service["healthCheckPath"] == "/health"
    assert service["runtime"] == "python"
    # exec: without a shell in between, the signal to stop reaches the service itself.
    assert service["startCommand"] == f"exec {START}"


def test_the_drain_ends_before_the_platform_kills() -> None:
    limit = int(blueprint()["maxShutdownDelaySeconds"])
    assert limit <= 300
    assert limit >= float(variables()["DRAIN_SECONDS"]) + 10


def test_the_blueprint_pins_a_whole_python_version() -> None:
    assert re.fullmatch(r"3\.1[12]\.\d+", variables()["PYTHON_VERSION"])


def test_one_process_serves() -> None:
    assert variables()["WEB_CONCURRENCY"] == "1"


def test_the_allocator_is_set_as_the_service_sets_it_for_its_workers() -> None:
    wanted = {
        k: v for k, v in worker_environment().items() if k.startswith(("MALLOC_", "OPENBLAS"))
    }
    assert wanted.items() <= variables().items()
    text = (ROOT / "Dockerfile").read_text()
    assert all(f"{name}={value}" in text for name, value in wanted.items())


def test_the_limits_of_the_blueprint_are_the_ones_that_were_measured() -> None:
    defaults = Settings()
    for name in Settings.model_fields:
        if (value := variables().get(name.upper())) is not None:
            assert float(value) == float(getattr(defaults, name))
    plan = PLANS["render-" + blueprint()["plan"]]
    assert float(variables()["MEMORY_LIMIT_MB"]) == plan.memory_bytes / (1 << 20)


def test_both_ways_install_the_lock_with_hashes_and_nothing_beside_it() -> None:
    for text in (blueprint()["buildCommand"], (ROOT / "Dockerfile").read_text()):
        assert re.search(r"pip install .*--no-deps --require-hashes -r \S*app\.txt", text)
    assert "apt" not in (ROOT / "Dockerfile").read_text()


def test_the_image_serves_with_one_process_that_hears_signals() -> None:
    text = (ROOT / "Dockerfile").read_text()
    command = json.loads(re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)[-1])
    assert command == START.split()
    assert re.search(r"^USER service$", text, re.MULTILINE)


def test_the_image_gets_the_service_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert ignored[1] == "*"
    copied = re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}


def test_the_lock_names_one_headless_opencv() -> None:
    names = re.findall(r"^(opencv[\w-]*)==", (ROOT / "requirements/app.txt").read_text(), re.M)
    # One for the numpy of each MediaPipe; no interpreter gets both.
    assert set(names) == {"opencv-python-headless"}


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 11), reason="the service needs Python 3.11")
def test_the_lock_alone_runs_the_service_and_loads_no_gui_library_of_the_system(
    tmp_path: Path,
) -> None:
    python = tmp_path / "app" / "bin" / "python"
    lock = ("--no-deps", "--require-hashes", "-r", str(ROOT / "requirements/app.txt"))
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "app")], check=True)
    installer = [str(python), "-m", "pip", "install", "--quiet", *lock]
    if (uv := shutil.which("uv")) is not None:
        installer = [uv, "pip", "install", "--quiet", "--python", str(python), *lock]
    subprocess.run(installer, check=True)
    program = (
        "import reference_app.main, reference_app.pipeline.preload\n"
        "print(*{line.split()[-1] for line in open('/proc/self/maps') if '/' in line})"
    )
    variables = {**os.environ, "PYTHONPATH": "", "PYTHONNOUSERSITE": "1"}
    done = subprocess.run(
        [str(python), "-c", program],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.split()
    assert any("cv2" in path for path in loaded)
    # mediapipe's wheel carries libraries of its own; the system needs none.
    outside = [path for path in loaded if not path.startswith(str(tmp_path))]
    assert [path for path in outside if GUI.search(Path(path).name)] == []
