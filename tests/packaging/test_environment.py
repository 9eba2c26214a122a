"""The environment is lean, and the wheel holds the harness alone."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {"jax", "jaxlib", "sounddevice", "sentencepiece", "opencv-contrib-python"}


def installed() -> set[str]:
    return {str(d.metadata["Name"]).lower().replace("_", "-") for d in metadata.distributions()}


def test_exactly_one_opencv_is_installed_and_it_is_headless() -> None:
    assert {name for name in installed() if name.startswith("opencv")} == {"opencv-python-headless"}


def test_opencv_has_no_window_system() -> None:
    program = "import cv2; print(cv2.getBuildInformation())"
    text = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    backend = re.search(r"GUI:\s*(\w+)", text)
    assert backend is not None
    assert backend.group(1) == "NONE"


def test_what_mediapipe_names_but_does_not_need_is_left_out() -> None:
    assert not installed() & LEFT_OUT


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.stem
)
def test_a_lock_pins_and_hashes_everything_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    assert entries
    for entry in entries:
        assert "==" in entry, entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", ["app", "tests"])
def test_a_lock_of_the_service_names_the_headless_opencv_alone(lock: str) -> None:
    names = set(
        re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.M)
    )
    assert names & LEFT_OUT == set()
    assert "opencv-python-headless" in names


def test_the_wheel_holds_the_harness_alone(tmp_path: Path) -> None:
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(hatchling, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"leak_suite"}
    assert [name for name in names if name.startswith("leak_suite/agent/")]


def test_the_core_asks_for_nothing_heavy() -> None:
    wanted = metadata.requires("leak-suite") or []
    core = {re.split(r"[\s;<>=!\[]", line)[0] for line in wanted if "extra ==" not in line}
    assert core == {"psutil", "memray", "httpx", "rich", "tomli"}
