"""One virtual environment per requirement text and interpreter, made once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["BuildError", "cache_folder", "environment", "find_python", "key_of"]


class BuildError(RuntimeError):
    """An environment could not be made; the message ends with what the installer said."""


def cache_folder() -> Path:
    """Where environments are kept: below the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "leakbench"


def find_python(version: str) -> Path:
    """An interpreter of `version` ("3.11", or a path): this one, pyenv's newest, or PATH's."""
    if "/" in version:
        return Path(version)
    own = Path(sys.executable)
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return own
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(
        (path for path in pyenv.glob(f"{version}.*/bin/python") if _numbers(path)), key=_numbers
    )
    if found:
        return found[-1]
    on_path = shutil.which(f"python{version}")
    if on_path is None:
        raise BuildError(f"no Python {version} here: install it with pyenv, or put it on PATH")
    return Path(on_path)


def key_of(requirements: str, version: str) -> str:
    """Name of the environment: the same text and interpreter give the same one."""
    lines = sorted(line.strip() for line in requirements.splitlines() if line.strip())
    return hashlib.sha256("\n".join([version, *lines]).encode()).hexdigest()[:16]


def environment(requirements: str, version: str, extras: Iterable[str] = ()) -> Path:
    """Interpreter of an environment with `requirements` and `extras`, made if it is not there."""
    text = "\n".join([requirements, *extras])
    folder = cache_folder() / key_of(text, version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready"
    with folder.with_suffix(".lock").open("w") as lock:
        # Several runs may want the same environment at once: one makes it, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, text, find_python(version))
            ready.touch()
    return folder / "bin" / "python"


def _make(folder: Path, requirements: str, python: Path) -> None:
    uv = shutil.which("uv")
    if uv is not None:
        _call([uv, "venv", "--quiet", "--python", str(python), str(folder)])
    else:
        _call([str(python), "-m", "venv", str(folder)])
    listing = folder / "requirements.txt"
    listing.write_text(requirements, encoding="utf-8")
    inside = str(folder / "bin" / "python")
    if uv is not None:
        _call([uv, "pip", "install", "--quiet", "--python", inside, "-r", str(listing)])
    else:
        _call([inside, "-m", "pip", "install", "--quiet", "-r", str(listing)])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stderr.strip()[-2000:]}")


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", path.parents[1].name))
