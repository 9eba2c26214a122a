"""A subject with the agent inside: started by path, spoken to over pipes, ended with its group."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leak_suite.errors import SubjectDied, SubjectError
from leak_suite.service_process import kill_group, last_error, signal_name
from leak_suite.subject.talk import Talk

if TYPE_CHECKING:
    from leak_suite.subject.specs import Extras

__all__ = ["AgentProcess"]

_AGENT = Path(__file__).parent.parent / "agent" / "__main__.py"
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LOG_TAIL = 2000
_LOG_ERROR_BYTES = 20_000


class AgentProcess:
    """The interpreter that the subject and the agent share, and the talk with it.

    Keys given to the agent: request_fd, response_fd (pipe ends), host (our pid), temp_dir,
    self_check, undisturbed (0 or 1), target or app and port, tracked and counter (any number),
    trace (a plan as JSON).
    `environment` is the subject's.
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        python: Path | None,
        extras: Extras,
        environment: Mapping[str, str],
    ) -> None:
        self._environment = environment
        self._extras = extras
        self._folder = Path(tempfile.mkdtemp(prefix="leak-suite-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.python = python or Path(sys.executable)
        arguments = [f"{key}={value}" for key, value in keys.items()]
        arguments += [f"self_check={0 if extras.trace or extras.undisturbed else 1}"]
        arguments += [f"undisturbed={int(extras.undisturbed)}"]
        arguments += [f"tracked={name}" for name in extras.tracked]
        arguments += [f"counter={name}={place}" for name, place in extras.counters.items()]
        if extras.trace is not None:
            arguments += [f"trace={json.dumps(extras.trace)}"]
        try:
            self._start(arguments)
            self.ready = self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def _start(self, arguments: list[str]) -> None:
        temp_dir = self._folder / "tmp"
        temp_dir.mkdir()
        request_fd, request_end = os.pipe()
        response_end, response_fd = os.pipe()
        self._talk = Talk(request_end, response_end, self.death)
        arguments = [f"request_fd={request_fd}", f"response_fd={response_fd}", *arguments]
        arguments += [f"host={os.getpid()}", f"temp_dir={temp_dir}"]
        environment = {**self._environment, **self._extras.environment, "TMPDIR": str(temp_dir)}
        try:
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [str(self.python), str(_AGENT), *arguments],
                    pass_fds=(request_fd, response_fd),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise SubjectError(f"{self.python} cannot be started: {error}") from error
        finally:
            os.close(request_fd)
            os.close(response_fd)

    def _wait_until_ready(self) -> dict[str, Any]:
        answer = self._talk.answer(_START_SECONDS)
        if "error" in answer:
            said = f"the subject could not be loaded: {answer['error']}"
            if "ModuleNotFoundError" in answer["error"]:
                said += f" (looked for by {self.python}; --python takes another)"
            raise SubjectError(f"{said}{self._log()}")
        ready: dict[str, Any] = answer["ready"]
        return ready

    @property
    def pid(self) -> int:
        """The subject's process id."""
        assert self._process is not None
        return self._process.pid

    def ask(self, question: str, seconds: float) -> dict[str, Any]:
        """The agent's answer; SubjectHung after `seconds`, SubjectDied if it is gone."""
        return self._talk.ask(question, seconds)

    def death(self) -> SubjectDied:
        """How it ended, as an error to raise."""
        assert self._process is not None
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return SubjectDied(f"the subject closed its pipes{self._log()}")
        if status < 0:
            return SubjectDied(f"the subject was killed by {signal_name(-status)}{self._log()}")
        return SubjectDied(f"the subject ended by itself with status {status}{self._log()}")

    def _log(self) -> str:
        try:
            text = (self._folder / "log").read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace")
        except OSError:
            return ""
        return f"\n{text.strip()}" if text.strip() else ""

    def last_error(self) -> str:
        """The last traceback that the subject wrote, or its last lines; nothing if it is silent."""
        try:
            text = (
                (self._folder / "log").read_bytes()[-_LOG_ERROR_BYTES:].decode("utf-8", "replace")
            )
        except OSError:
            return ""
        return last_error(text)

    def close(self) -> None:
        """Ask it to stop, then end its whole process group; remove what it left on disk."""
        process, self._process = self._process, None
        if process is not None:
            self._talk.say("stop")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS if self._talk.is_heard else 0.0)
            kill_group(process.pid)
            process.wait()
            self._talk.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
