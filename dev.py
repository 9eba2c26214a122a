"""Run one of the project's jobs on a machine that has Python and nothing else.

`python3 dev.py gate` makes a small tool environment in `.tools` (tox with uv, from locked
requirements) and hands over to `tox run -e gate`; everything after the job's name goes to it.
`python3 dev.py` lists the jobs. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / ".tools"
LOCK = ROOT / "requirements" / "tox.txt"


def tools_python() -> Path:
    """The interpreter of the tool environment, which is made anew if it is not as locked."""
    bin_folder = TOOLS / ("Scripts" if os.name == "nt" else "bin")
    python = bin_folder / "python"
    stamp = TOOLS / "locked"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print("Making the tool environment in .tools (once) ...", file=sys.stderr, flush=True)
    venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(TOOLS)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    locked = ["--require-hashes", "--no-deps", "-r", str(LOCK)]
    subprocess.run([python, *install, *locked], check=True)
    stamp.write_text(wanted)
    return python


def interpreters() -> list[str]:
    """The folders of interpreters that pyenv has and, unless they are chosen, hides."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted(str(folder) for folder in root.glob("versions/3.*/bin"))


def main(arguments: list[str]) -> int:
    """Hand over to tox, or list its environments; the status is tox's own."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 14):
        print("Start this with Python 3.10 to 3.14.", file=sys.stderr)
        return 2
    try:
        python = tools_python()
    except subprocess.CalledProcessError as error:
        print(f"The tool environment could not be made: {error}", file=sys.stderr)
        return 2
    tox = [str(python), "-m", "tox"]
    if not arguments:
        return subprocess.run([*tox, "list"], cwd=ROOT, check=False).returncode
    job, *rest = arguments
    command = [*tox, "run", "-e", job, *(["--", *rest] if rest else [])]
    path = os.pathsep.join([str(python.parent), os.environ["PATH"], *interpreters()])
    environment = {"UV_PYTHON_DOWNLOADS": "never", **os.environ, "PATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
