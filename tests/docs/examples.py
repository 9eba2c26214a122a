"""How each command line of the docs is run by a test, and which are not, and why.

A line is run as it is written. What SHORTER and STAND_INS change makes it shorter or local, and
nothing else: fewer iterations, a smaller clip, a server that the test started itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.docs.blocks import PAGES, Command, commands

__all__ = ["DOC_EXAMPLES", "NOT_RUN", "SHORTER", "STAND_INS", "VARIABLES", "DocExample", "reason"]

ANY = "any page"


@dataclass(frozen=True)
class DocExample:
    """Command lines of one page, or one of any page, that are run in order, in one folder."""

    page: str
    begins: str
    #: Beginnings of those that find something, and so end with 1; all others end with 0.
    finds: tuple[str, ...] = ()
    #: Whether the folder is this checkout, or a project of a reader's own.
    checkout: bool = False
    #: `in turn`, or `at once` where the lines talk to one another or go on until they are ended.
    how: str = "in turn"
    slow: bool = False

    def __str__(self) -> str:
        return f"{self.page}: {self.begins}"

    def lines(self) -> list[Command]:
        """The command lines that are meant; one that several pages show is run once."""
        meant = (command for page in PAGES for command in commands(page) if self.covers(command))
        return list({command.said: command for command in meant}.values())

    def covers(self, command: Command) -> bool:
        """Whether this is one of them."""
        here = self.page in (ANY, command.page.name)
        return here and command.said.startswith(self.begins) and reason(command) is None


_OWN = ("leak-suite run", "leak-suite show", "pytest")
DOC_EXAMPLES = (
    DocExample("README.md", "leak-suite", finds=_OWN, slow=True),
    DocExample("index.md", "leak-suite", finds=_OWN, slow=True),
    DocExample("getting-started.md", "", finds=_OWN, slow=True),
    DocExample("ci.md", "leak-suite", finds=_OWN, slow=True),
    DocExample("reading-a-report.md", "leak-suite", finds=_OWN),
    DocExample("baselines.md", "leak-suite"),
    DocExample("history.md", "leak-suite"),
    DocExample(
        "it-grows.md", "leak-suite", finds=("leak-suite run", "leak-suite explain"), slow=True
    ),
    DocExample("flamegraphs.md", "leak-suite"),
    DocExample("before-you-deploy.md", "leak-suite fit", checkout=True, slow=True),
    # With a small clip the control fits; that it does not with its own is shown by the evidence.
    DocExample("before-you-deploy.md", "WORKERS=thread", checkout=True, slow=True),
    DocExample(ANY, "python -m load ci", checkout=True, slow=True),
    DocExample("before-you-deploy.md", "python -m load burst --host", checkout=True, slow=True),
    DocExample("load.md", "python -m load steady --host", checkout=True),
    DocExample("load.md", "python -m load concurrency", checkout=True, slow=True),
    DocExample("load.md", "python -m load soak", checkout=True, slow=True),
    DocExample("load.md", "python -m load burst --app", slow=True),
    DocExample("load.md", "LOAD_SCENARIO=burst locust", checkout=True, slow=True),
    DocExample("load.md", "locust", checkout=True),
    DocExample("load.md", "LOAD_ROUNDS=3 locust", checkout=True, how="at once", slow=True),
    DocExample("defects.md", "python -m uvicorn", checkout=True, how="at once"),
    DocExample("defects.md", "pytest", finds=("pytest",), checkout=True, slow=True),
    DocExample("defects.md", "leak-suite", finds=("leak-suite",), checkout=True, slow=True),
    DocExample("defects.md", "python -m benchmarks defects", checkout=True, slow=True),
    DocExample("evidence.md", "python -m benchmarks evidence --list", checkout=True),
    DocExample("catalogue.md", "python -m benchmarks catalogue --list", checkout=True),
    DocExample("leakbench.md", "python -m benchmarks leakbench", slow=True),
    DocExample("leakbench.md", "LEAKBENCH_CASE", finds=("leak-suite",), checkout=True, slow=True),
)

#: Words that a line gets besides its own, by how it begins; the last of an option counts.
SHORTER: Mapping[str, tuple[str, ...]] = {
    "leak-suite fit": ("--users", "2", "--iterations", "2"),
    "leak-suite fit --memory 512M": ("--users", "1", "--iterations", "1"),
    # How soon /health answers says nothing on a machine that runs tests.
    "python -m load": ("--rounds", "1", "--health-ms", "5000", "-o", "{out}"),
    "python -m load ci": ("--rounds", "0"),
    "python -m load soak": ("--rounds", "10", "--users", "4", "--seconds", "5"),
    "locust": ("--csv", "{out}/locust"),
    "locust -f load/locustfile.py --tags burst --master": (
        *("--master-bind-port", "{port}", "--run-time", "15s"),
    ),
    "locust -f load/locustfile.py --tags burst --worker": ("--master-port", "{port}"),
    "python -m uvicorn": ("--port", "{port}"),
    "pytest gate": ("-k", "finished_job", "--out", "{out}"),
    "python -m benchmarks defects": ("-o", "{out}/defects"),
    "python -m benchmarks leakbench": (
        *("--repeat", "1", "--only", "bounded_deque_fills/clean", "--tools", "leak-suite"),
        *("-o", "{out}/leakbench"),
    ),
}
#: What stands in for a word, or for the end of one.
STAND_INS: Mapping[str, str] = {
    "https://staging.example.com": "{service}",
    "https://staging.example": "{service}",
    "http://127.0.0.1:8000": "{service}",
    "URL": "{service}",
    "burst.html": "{out}/burst.html",
    "FOLDER": "{out}/cases",
    "clean": "bounded_deque_fills/clean",
    "NAME": "task_never_finished",
    "N": "1",
}
#: Set for lines that begin so, unless a line sets it itself.
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "leak-suite fit": {"FIT_CLIP": "{clip}", "LOAD_ROUNDS": "1"},
    "locust": {"LOAD_ROUNDS": "1", "LOAD_HEALTH_MS": "5000", "LOAD_OUT": "{out}"},
    # Four jobs at once do not fit into the 512 MiB that the service takes for its machine's.
    "python -m load burst --app": {"PYTHONPATH": "{installed}", "JOB_MEMORY_MB": "256"},
    "python -m benchmarks leakbench": {"XDG_CACHE_HOME": "{out}/cache"},
}

_SERVERS = "needs a database and an S3 server; tests/load runs it where they are installed"
_LONG = "takes hours: these are the long runs themselves"
#: Looked at by their parser only. A new line has to be run, or come here with a reason.
NOT_RUN: Mapping[str, str] = {
    "pip install": "needs the network; tests/packaging installs the wheel and reads the lock",
    "python3 dev.py": "builds environments for minutes; what they run is looked at word by word",
    "python -m reference_app": "tests/reference_app starts each role, and migrates",
    "python -m load scaled": _SERVERS,
    "python -m load concurrency --apis": _SERVERS,
    "ROLE=worker python -m reference_app": "tests/reference_app starts each role",
    "leak-suite flamegraph --workload push.py:push": "needs a Redis; tests/examples records it",
    "leak-suite run --pid": "run by tests/leak_suite/test_running_process.py on 3.14",
    "python -m benchmarks evidence": _LONG,
    "python -m benchmarks catalogue web": "takes an hour; tests/benchmarks runs it on one twin",
    "python -m benchmarks catalogue workers": "takes an hour; tests/benchmarks runs one twin",
    "python -m benchmarks catalogue --verify": "takes ten minutes; tests/benchmarks proves a case",
    "python -m benchmarks field": "needs the network; tests/benchmarks looks at its table",
    "python -m benchmarks evidence soak failing-calls": _LONG,
    "python -m benchmarks remedies --tried": "takes half an hour; tests/leak_suite looks at each",
    **{
        f"leak-suite run {begins}": "run by tests/examples/test_front_doors.py, twins and all"
        for begins in (
            *("batch.py:job", "batch_leaky.py:job"),
            *(f"--workload workload.py:{name} -- gunicorn" for name in ("visit", "read")),
            *("--workload workload.py:vote -- uvicorn", "--workload workload.py:ask -- python"),
            *("--workload push.py:push -- celery", "--workload push.py:push -- dramatiq"),
            *("--workload push.py:push -- rq", "--workload push.py:push_leaky -- rq"),
        )
    },
}


def reason(command: Command) -> str | None:
    """Why this line is not run; None if it is not in the table."""
    for begins, why in NOT_RUN.items():
        # A long run is in the table word by word: with other words it may be a short one.
        if command.said == begins or (
            "evidence" not in begins and command.said.startswith(f"{begins} ")
        ):
            return why
    return None
