"""Write the lock files: one requirement file with hashes a purpose, from one resolution.

`uv.lock` itself names the index it was made with, so it is not committed; these files hold
names, versions and hashes alone.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def groups(*names: str) -> list[str]:
    """The options that add these dependency groups to an export."""
    return [word for name in names for word in ("--group", name)]


EVERYTHING = (
    "test", "workers", "servers", "api", "opencv", "analysis", "bench", "browser", "docs",
)  # fmt: skip
LOCKS = {
    "core": [],
    "core-tests": groups("test"),
    "app": ["--extra", "app", *groups("opencv")],
    "scale": ["--extra", "app", "--extra", "scale", *groups("opencv")],
    "load": ["--extra", "load"],
    "report": ["--extra", "report"],
    "tests": ["--all-extras", *groups(*EVERYTHING)],
    "lint": ["--only-group", "lint"],
    "types": ["--all-extras", *groups("types", "test", "workers", "opencv", "bench")],
    "docs": ["--only-group", "docs"],
    "release": ["--only-group", "release"],
    "tox": ["--only-group", "tox"],
}


def main() -> None:
    """Resolve once, export each purpose."""
    subprocess.run(["uv", "lock"], cwd=FOLDER.parent, check=True)
    for name, wanted in LOCKS.items():
        plain = ["--no-emit-project", "--no-annotate", "--no-header", "--no-default-groups"]
        output = ["--output-file", str(FOLDER / f"{name}.txt")]
        export = ["uv", "export", "--quiet", "--frozen", *plain, *wanted, *output]
        subprocess.run(export, cwd=FOLDER.parent, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
