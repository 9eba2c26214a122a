"""`python -m gate.soak HOURS`: a mixed day's jobs on the service as deployed.

This is `leak-suite run --app … --workload … --hours HOURS` with the suite's tolerances, and takes
the same options. The order of the jobs is drawn with SOAK_SEED. Ctrl-C gives a verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gate.runs import OUT, TOLERANCES, workload_target
from gate.target import app_target
from leak_suite.cli import main

__all__ = ["soak"]

_HOURS = "2"


def soak(words: Sequence[str]) -> int:
    """The exit status of `leak-suite run`."""
    given = list(words)
    hours = given.pop(0) if given and not given[0].startswith("-") else _HOURS
    arguments = ["run", "--app", app_target()]
    arguments += ["--workload", workload_target("mixed_job"), "--hours", hours]
    for metric, rate in TOLERANCES.items():
        arguments += ["--tolerance", f"{metric}={rate:g}"]
    if "-o" not in given:
        OUT.mkdir(parents=True, exist_ok=True)
        given += ["-o", str(OUT / "soak.json")]
    return main([*arguments, *given])


if __name__ == "__main__":
    sys.exit(soak(sys.argv[1:]))
