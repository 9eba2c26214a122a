"""A run by several Locust processes: rounds that all begin together, one log, one judgement.

Users live in Locust's workers. Its master lets each round begin when all workers have ended the one
before, takes their logs at the end, and ends the run. Nothing here imports Locust.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event

from load.judgement import wait_for_memory

if TYPE_CHECKING:
    from load.run_log import RunLog
    from load.session import LoadSession

__all__ = ["LinkToMaster", "MasterOfRun"]

# From a worker to the master, and from the master to all workers.
_READY, _LOG = "load-ready", "load-log"
_ROUND = "load-round"
_WATCH_SECONDS = 1.0
_ALIVE = ("ready", "spawning", "running")


class LinkToMaster:
    """A worker's side: `runner` is Locust's."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._all_here = gevent.event.Event()
        self._answer: gevent.event.AsyncResult[bool] = gevent.event.AsyncResult()
        runner.register_message(_ROUND, self._on_round)

    @property
    def index(self) -> int:
        """Which worker this is, from 0."""
        return int(self._runner.worker_index)

    def mark_all_here(self) -> None:
        """Let the users begin: all of them have been started, in every worker."""
        self._all_here.set()

    def wait_until_all_here(self) -> None:
        """Wait for `mark_all_here`: until then nobody knows how many users this process has."""
        self._all_here.wait()

    def ask_for_round(self, uploads: int) -> bool:
        """Tell that all users here are still; wait for the next round. False if there is none."""
        self._answer = gevent.event.AsyncResult()
        self._runner.send_message(_READY, {"uploads": uploads})
        return bool(self._answer.get())

    def hand_over(self, log: RunLog, health: dict[str, Any] | None) -> None:
        """Give the master all that happened here."""
        self._runner.send_message(_LOG, {"log": log.to_json(), "health": health})

    def _on_round(self, environment: Any, msg: Any, **_: Any) -> None:
        del environment
        self._answer.set(bool(msg.data["goes_on"]))


class MasterOfRun:
    """The master's side: it has no users, leads those of the workers, and judges the run."""

    def __init__(self, session: LoadSession, runner: Any) -> None:
        self._session = session
        self._runner = runner
        self._uploads: dict[str, int] = {}
        self._ready: set[str] = set()
        self._logs: set[str] = set()
        # Both wait, and Locust's own messages have to go on meanwhile.
        runner.register_message(_READY, self._on_ready, concurrent=True)
        runner.register_message(_LOG, self._on_log, concurrent=True)

    def start(self) -> None:
        """Watch over the workers: the jobs of one that is gone are known to nobody."""
        gevent.spawn(self._watch)

    def describe_missing(self) -> str:
        """Which logs have not come; empty where all have."""
        missing = self._session.plan.load_workers - len(self._logs)
        return f"{missing} of the Locust processes gave no log of their jobs" if missing else ""

    def _on_ready(self, environment: Any, msg: Any, **_: Any) -> None:
        del environment
        session = self._session
        self._ready.add(msg.node_id)
        self._uploads[msg.node_id] = msg.data["uploads"]
        if len(self._ready) < session.plan.load_workers:
            return
        self._ready.clear()
        session.log.uploads = sum(self._uploads.values())
        session.mark_idle()
        goes_on = not session.is_through()
        if goes_on:
            session.round += 1
        self._runner.send_message(_ROUND, {"goes_on": goes_on})

    def _on_log(self, environment: Any, msg: Any, **_: Any) -> None:
        del environment
        session = self._session
        if not self._logs:
            session.log.uploads = 0  # what the workers reported so far stands in their logs
        session.log.merge(msg.data["log"])
        session.health = session.health or msg.data["health"]
        self._logs.add(msg.node_id)
        if not self.describe_missing():
            session.over = True
            session.seconds = time.monotonic() - session.began
            wait_for_memory(session)
            self._runner.quit()

    def _watch(self) -> None:
        session = self._session
        while not session.over:
            gevent.sleep(_WATCH_SECONDS)
            alive = sum(one.state in _ALIVE for one in self._runner.clients.all)
            if not session.over and alive < session.plan.load_workers:
                session.log.broken.append("a Locust process ended before the run: see its log")
                self._runner.quit()
                return
