"""Announcements of jobs over Redis, by kombu, which carries Celery's messages too.

kombu blocks, so it has two threads: one that announces, and one that takes announcements while
this process can start a job.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from kombu import Connection, Consumer, Exchange, Producer, Queue

from reference_app.errors import StartupError
from reference_app.logs import Logger

__all__ = ["QUEUE_NAME", "RedisJobQueue"]

#: The list that announcements lie in; every key of ours in that database begins with the prefix.
QUEUE_NAME = "jobs"
_PREFIX = "reference_app:"
# The default exchange, for which nothing is kept in Redis that a restart could lose.
_QUEUE = Queue(QUEUE_NAME, Exchange(""), routing_key=QUEUE_NAME)
# An upload is not kept waiting longer for its announcement.
_ANSWER_SECONDS = 2.0
_OPEN_SECONDS = 15.0
_SOCKET_SECONDS = 5.0
# So long one look lasts; the end of the process waits for it.
_LOOK_SECONDS = 1.0
# A connection is kept so long for the next time that this process can start a job.
_LINGER_SECONDS = 0.5
_AGAIN_SECONDS = 0.5

# By default any certificate is taken.
_VERIFIED = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}

Result = TypeVar("Result")


class RedisJobQueue:
    """Hints between processes; each announcement reaches one that can start a job.

    It is acknowledged when that process has tried to claim. If the process dies before, another
    one gets it after `lease_seconds`.
    """

    def __init__(self, url: str, *, lease_seconds: float, log: Logger) -> None:
        self._url = url
        self._lease_seconds = lease_seconds
        self._log = log
        self._woken = asyncio.Event()
        # One thread, so that calls on the channel come one after the other.
        self._caller = ThreadPoolExecutor(1, "queue-caller")
        self._channel: Any = None
        self._taker: threading.Thread | None = None
        # Set while this process waits and could start a job.
        self._hungry = threading.Event()
        # Set when all that an announcement led to has been done.
        self._handled = threading.Event()
        self._closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Connect once; raises `StartupError` where nobody answers."""
        try:
            # The client tries more than once; what it says in the end is worth the wait.
            await self._call(self._length, _OPEN_SECONDS)
        except Exception as error:
            await self.close()
            raise StartupError(f"the queue cannot be used ({error or repr(error)})") from error

    async def close(self) -> None:
        """Give an announcement that led to nothing back, and disconnect."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._hungry.set()
        self._handled.set()
        with suppress(Exception):
            await self._call(self._disconnect)
        self._caller.shutdown(wait=False, cancel_futures=True)
        if self._taker is not None:
            await asyncio.to_thread(self._taker.join, _LOOK_SECONDS + _SOCKET_SECONDS)

    async def put(self, job_id: str) -> None:
        """See `JobQueue`."""
        try:
            await self._call(lambda: self._publish(job_id))
        except Exception as error:
            self._log.warning("a job was not announced", job_id=job_id, error=repr(error))

    def wake(self) -> None:
        """See `JobQueue`."""
        self._woken.set()

    async def wait(self, timeout_seconds: float, *, take: bool = True) -> bool:
        """See `JobQueue`."""
        self._handled.set()
        if take and not self._woken.is_set():
            self._hungry.set()
            self._start_taker()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        finally:
            self._hungry.clear()
        self._woken.clear()
        return True

    async def length(self) -> int:
        """See `JobQueue`."""
        return await self._call(self._length)

    # -- the thread that announces

    async def _call(
        self, work: Callable[[], Result], timeout_seconds: float = _ANSWER_SECONDS
    ) -> Result:
        """Do something with the channel; a call that failed takes its connection with it."""

        def call() -> Result:
            try:
                return work()
            except BaseException:
                self._disconnect()
                raise

        async with asyncio.timeout(timeout_seconds):
            return await asyncio.get_running_loop().run_in_executor(self._caller, call)

    def _opened(self) -> Any:
        if self._channel is None:
            self._channel = self._connection().channel()
        return self._channel

    def _length(self) -> int:
        return int(_QUEUE(self._opened()).queue_declare().message_count)

    def _publish(self, job_id: str) -> None:
        Producer(self._opened()).publish({"job_id": job_id}, routing_key=QUEUE_NAME)

    def _disconnect(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            with suppress(Exception):
                channel.connection.client.release()

    def _connection(self) -> Connection:
        return Connection(
            self._url,
            ssl=_VERIFIED if self._url.startswith("rediss:") else None,
            transport_options={
                # A Celery application in the same database must not find ours, nor we its own.
                "global_keyprefix": _PREFIX,
                "visibility_timeout": self._lease_seconds,
                "priority_steps": [0],
                "socket_timeout": _SOCKET_SECONDS,
                "socket_connect_timeout": _ANSWER_SECONDS,
                "health_check_interval": int(_SOCKET_SECONDS),
            },
        )

    # -- the thread that takes

    def _start_taker(self) -> None:
        if self._taker is None:
            self._loop = asyncio.get_running_loop()
            self._taker = threading.Thread(target=self._take, name="queue-taker", daemon=True)
            self._taker.start()

    def _take(self) -> None:
        away = False
        while not self._closed.is_set():
            self._hungry.wait()
            try:
                # The end of it gives back what came meanwhile and what was not acknowledged.
                with self._connection() as connection:
                    channel = connection.channel()
                    if away:
                        self._log.info("the queue answers again")
                    away = False
                    try:
                        self._consume(connection, channel)
                    except BaseException:
                        # Nothing can be given back now, and kombu would write it into a file.
                        channel.do_restore = False
                        raise
            except Exception as error:
                if not away and not self._closed.is_set():
                    self._log.error("the queue does not answer", error=repr(error))
                away = True
                self._closed.wait(_AGAIN_SECONDS)

    def _consume(self, connection: Connection, channel: Any) -> None:
        """Take announcements as long as they can lead to anything."""
        taken: list[Any] = []
        consumer = Consumer(channel, [_QUEUE], on_message=taken.append, prefetch_count=1)
        consumer.consume()
        while self._hungry.wait(_LINGER_SECONDS) and not self._closed.is_set():
            with suppress(TimeoutError):
                connection.drain_events(timeout=_LOOK_SECONDS)
            while taken:
                self._hand_on(taken.pop())

    def _hand_on(self, message: Any) -> None:
        if not self._hungry.is_set() or self._closed.is_set():
            message.requeue()
            return
        self._handled.clear()
        self._hungry.clear()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._woken.set)
        self._handled.wait()
        if not self._closed.is_set():
            message.ack()
