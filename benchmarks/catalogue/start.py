"""The surroundings of one run of a case: its folder of files, its variables, its Redis."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.catalogue.case import Case
from benchmarks.catalogue.servers import redis_server

__all__ = ["LEAKY", "TWINS", "surroundings"]

LEAKY = "leaky"
TWINS = (LEAKY, "clean")


@contextmanager
def surroundings(case: Case, twin: str) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A scratch folder, and the environment in which the twin and its workload run.

    The programs of this interpreter's environment (celery, gunicorn ...) come first on PATH.
    """
    scratch = Path(tempfile.mkdtemp(prefix="catalogue-"))
    spool = scratch / "tmp"
    spool.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    values = {key: value for key, value in os.environ.items() if key != "LEAK"}
    values |= {"PATH": path, "TMPDIR": str(spool), "SCRATCH": str(scratch)}
    values |= {"PYTHONDONTWRITEBYTECODE": "1"}
    if twin == LEAKY:
        values["LEAK"] = "1"
    try:
        with ExitStack() as stack:
            if case.redis:
                url = stack.enter_context(redis_server(scratch))
                values |= {"REDIS_URL": url, "RQ_REDIS_URL": url}
            yield scratch, values
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
