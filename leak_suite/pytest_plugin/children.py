"""The processes that tests start: they get the agent, and a judge in a process of its own."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import tempfile
from ast import literal_eval
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import leak_suite
from leak_suite import errors
from leak_suite.options import Options
from leak_suite.result import Outcome, RunResult
from leak_suite.subject import Extras, InProcessSpec
from leak_suite.subject.agent_code import agent_module
from leak_suite.subject.agents import AgentHub
from leak_suite.subject.in_process import InProcessSubject

__all__ = ["CHILDREN", "ChildAgents", "TestedSpec"]

_OWN_FDS = 3
_DETACHED = "import os\nif os.fork(): os._exit(0)\nfrom {module} import main\nmain(*{ends!r})\n"
_JUDGE = "leak_suite.checks.lent"
_CHANGED = ("PYTHONPATH", "LEAK_SUITE_AGENT")


class ChildAgents:
    """While entered, what this process forks or starts has an agent; made once for a session.

    A check of a test that uses other processes is made by the judge. It is no child of this
    process: a test may wait for all its children. There is no thread here either, since Python
    warns where a process with threads forks; agents wait in the kernel's queue for the judge.
    """

    def __init__(self) -> None:
        self._hub = AgentHub()
        self._resident: Any = None
        self._before: dict[str, str | None] = {}
        self._wire: Any = None

    def __enter__(self) -> ChildAgents:
        self._listener = self._hub.listen()
        self._resident = agent_module("resident").follow(*self._hub.place)
        self._before = {name: os.environ.get(name) for name in _CHANGED}
        if self._resident is not None:
            given = self._hub.environment(os.environ)
            os.environ.update({name: given[name] for name in _CHANGED})
        return self

    def __exit__(self, *_: object) -> None:
        if self._resident is not None:
            self._resident.unfollow()
            for name, value in self._before.items():
                _set(name, value)
        self._listener.close()
        if self._wire is not None:
            self._wire.close()

    def are_used(self) -> bool:
        """Whether this process has children, or had one since the session began."""
        if self._wire is not None or agent_module("proc").Proc().children():
            return True
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        return bool(waiting.poll(0))

    def check(self, spec: InProcessSpec, options: Options) -> RunResult:
        """The judge's result; this process repeats the workload and answers meanwhile."""
        if self._wire is None:
            self._wire = self._start_judge()
        extras = Extras(options.tracked, options.counters)
        with (
            tempfile.TemporaryDirectory(prefix="leak-suite-") as folder,
            InProcessSubject(spec, extras, _OWN_FDS) as subject,
        ):
            about = subject.about
            ready = {
                **about.environment,
                "self_check": dict(about.self_check),
                "blind": dict(about.blind),
                "not_called": subject.routes.not_called(),
            }
            job = {"name": str(spec), "pid": os.getpid(), "ready": ready}
            file = Path(folder) / "run.json"
            job |= {"options": pickle.dumps(options), "file": str(file)}
            try:
                self._wire.answer(job)
                return self._lent(subject)
            except BrokenPipeError:
                self._wire.close()
                self._wire = None
                raise errors.LeakSuiteError("the process that judges has ended") from None

    def _lent(self, subject: InProcessSubject) -> RunResult:
        """What the judge finds while `subject` answers it.

        Where the test ends all by itself (`pytest.skip`) the judge is told, and the rest is as
        ever.
        """
        try:
            subject.lend(self._wire, self._resident)
        except BrokenPipeError:  # the judge's end
            raise
        except BaseException as error:
            while (words := self._wire.ask()) is not None and words[0] != "stop":
                self._wire.answer({"error": f"the test was ended: {error!r}"})
            self._wire.answer({"stopped": True})
            self._wire.ask()
            raise
        words = self._wire.ask()
        if words is None:
            raise BrokenPipeError
        said = literal_eval(" ".join(words))
        if "file" in said:
            return RunResult.read(Path(said["file"]))
        kind: Callable[[str], errors.LeakSuiteError] = getattr(errors, said["kind"])
        raise kind(said["text"])

    def _start_judge(self) -> Any:
        request_fd, request_end = os.pipe()
        response_end, response_fd = os.pipe()
        ends = (request_end, response_end, self._listener.fileno())
        own = {**os.environ, **self._before}
        path = filter(None, (own["PYTHONPATH"], str(Path(leak_suite.__file__).parents[1])))
        own |= {"PYTHONPATH": os.pathsep.join(path), "LEAK_SUITE_AGENT": None}
        own["LEAK_SUITE_HUB"] = " ".join(self._hub.place)
        try:
            subprocess.run(
                [sys.executable, "-c", _DETACHED.format(module=_JUDGE, ends=ends)],
                pass_fds=ends,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={name: value for name, value in own.items() if value is not None},
                start_new_session=True,
                check=True,
            )
        finally:
            os.close(request_end)
            os.close(response_end)
        return agent_module("wire").Wire(request_fd, response_fd, outlive=True)


CHILDREN = pytest.StashKey[ChildAgents]()
"""What sees the processes that the tests of a session start."""


@dataclass(frozen=True)
class TestedSpec(InProcessSpec):
    """A test; with `children` its other processes are seen too."""

    children: ChildAgents | None = None

    def check(self, options: Options) -> RunResult:
        """Measure and judge it here, unless it uses other processes."""
        from leak_suite.checks import check

        if self.children is None:
            return check(self, options)
        if not self.children.are_used():
            result = check(self, options)
            if result.outcome is Outcome.GROWING or not self.children.are_used():
                return result
        return self.children.check(self, options)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
