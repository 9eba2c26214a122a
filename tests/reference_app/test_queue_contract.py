"""What every queue promises, each on every one of them; then what one through a broker does."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.catalogue.servers import free_port, redis_server
from reference_app.errors import StartupError
from reference_app.factories import make_queue
from reference_app.jobs.queue import JobQueue
from reference_app.logs import make_logger
from reference_app.settings import Settings
from tests.reference_app.conftest import ROOT
from tests.reference_app.redis_broker import RedisBroker, redis_broker

pytestmark = pytest.mark.anyio

#: Beyond any honest wait.
LONG = 20.0
SHORT = 0.3
SCALED = {"database_url": "postgresql://nobody@nowhere/none", "storage_url": "s3://none"}

Opener = Callable[[], Awaitable[JobQueue]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def broker() -> Iterator[RedisBroker]:
    """A server for each test: what one leaves is not another's."""
    with redis_broker() as running:
        yield running


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
async def opened(broker: RedisBroker, log: io.StringIO) -> AsyncIterator[Opener]:
    """Open queues through the broker, each that of another process; they end with the test."""
    async with AsyncExitStack() as stack:

        async def one() -> JobQueue:
            queue = by_redis(broker.url, log)
            await queue.open()
            stack.push_async_callback(queue.close)
            return queue

        yield one


@pytest.fixture(params=["local", "redis"])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[JobQueue]:
    log = make_logger("info", io.StringIO())
    if request.param == "local":
        made = make_queue(Settings(), log)
    else:
        made = by_redis(request.getfixturevalue("broker").url)
    await made.open()
    yield made
    await made.close()


def by_redis(url: str, log: io.StringIO | None = None, **changes: Any) -> JobQueue:
    settings = Settings.model_validate({**SCALED, "queue_url": url, **changes})
    return make_queue(settings, make_logger("info", log or io.StringIO()))


# -- every queue


async def test_an_announcement_wakes_who_waits(queue: JobQueue) -> None:
    waiting = asyncio.create_task(queue.wait(LONG))
    await asyncio.sleep(0)
    await queue.put("a")
    assert await waiting


async def test_an_announcement_that_came_before_is_not_lost(queue: JobQueue) -> None:
    await queue.put("a")
    assert await queue.wait(LONG)


async def test_without_a_hint_the_wait_ends_in_time(queue: JobQueue) -> None:
    assert not await queue.wait(SHORT)
    assert not await queue.wait(SHORT, take=False)


async def test_who_is_woken_here_waits_no_longer_and_only_once(queue: JobQueue) -> None:
    queue.wake()
    assert await queue.wait(LONG)
    assert not await queue.wait(SHORT)
    waiting = asyncio.create_task(queue.wait(LONG, take=False))
    await asyncio.sleep(0)
    queue.wake()
    assert await waiting


async def test_hints_that_come_twice_do_no_harm(queue: JobQueue) -> None:
    for _ in range(3):
        await queue.put("a")
        queue.wake()
    while await queue.wait(SHORT):
        pass
    await queue.put("b")
    assert await queue.wait(LONG)


async def test_a_wait_that_is_cancelled_takes_no_hint_with_it(queue: JobQueue) -> None:
    waiting = asyncio.create_task(queue.wait(LONG))
    await asyncio.sleep(SHORT)
    waiting.cancel()
    await asyncio.wait({waiting})
    await queue.put("a")
    assert await queue.wait(LONG)


async def test_a_second_end_does_nothing(queue: JobQueue) -> None:
    await queue.close()
    await queue.close()


# -- through a broker


async def test_an_announcement_reaches_another_process_and_one_alone(opened: Opener) -> None:
    announcer, *others = [await opened() for _ in range(3)]
    waiting = [asyncio.create_task(one.wait(2.0)) for one in others]
    await announcer.put("a")
    assert sorted([await one for one in waiting]) == [False, True]
    assert await announcer.length() == 0


async def test_every_announcement_reaches_somebody(opened: Opener) -> None:
    announcer, *others = [await opened() for _ in range(4)]
    for number in range(30):
        await announcer.put(str(number))
    taken = 0

    async def take(queue: JobQueue) -> None:
        nonlocal taken
        while await queue.wait(2.0):
            taken += 1

    await asyncio.gather(*(take(one) for one in others))
    assert (taken, await announcer.length()) == (30, 0)


async def test_who_can_start_nothing_leaves_announcements_to_others(opened: Opener) -> None:
    announcer, full, free = [await opened() for _ in range(3)]
    # It was free a moment ago, so it has just asked the broker.
    assert not await full.wait(SHORT)
    busy = asyncio.create_task(full.wait(3.0, take=False))
    await announcer.put("a")
    assert await free.wait(2.5)
    assert not await busy


async def test_an_announcement_is_held_until_it_has_been_acted_on(
    broker: RedisBroker, opened: Opener
) -> None:
    announcer, next_one = await opened(), await opened()
    doomed = by_redis(broker.url)
    await announcer.put("a")
    assert await doomed.wait(LONG)
    # It ends before it has tried to claim.
    await doomed.close()
    assert await next_one.wait(LONG)


async def test_a_broker_that_is_away_delays_nobody_for_long_and_comes_back(
    broker: RedisBroker, opened: Opener, log: io.StringIO
) -> None:
    announcer, taker = await opened(), await opened()
    waiting = asyncio.create_task(taker.wait(60.0))
    await asyncio.sleep(SHORT)
    broker.stop()
    began = time.monotonic()
    await announcer.put("lost")
    assert time.monotonic() - began < 5
    assert "a job was not announced" in log.getvalue()
    with pytest.raises(Exception, match=r".*"):
        await announcer.length()
    broker.start()
    await announcer.put("a")
    assert await waiting
    assert log.getvalue().count("the queue does not answer") == 1


@pytest.mark.slow
async def test_a_process_that_dies_with_an_announcement_gives_it_to_another(
    broker: RedisBroker,
) -> None:
    lease = {"job_lease_seconds": 2, "job_beat_seconds": 1}
    program = f"""if True:
        import asyncio, os
        from tests.reference_app.test_queue_contract import by_redis

        async def die():
            queue = by_redis({broker.url!r}, **{lease})
            await queue.open()
            await queue.put("a")
            assert await queue.wait({LONG})
            os._exit(0)

        asyncio.run(die())
    """
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], cwd=ROOT, check=True
    )
    assert done.returncode == 0
    async with AsyncExitStack() as stack:
        queue = by_redis(broker.url, **lease)
        await queue.open()
        stack.push_async_callback(queue.close)
        assert await queue.length() == 0
        assert await queue.wait(LONG)


async def test_waking_here_does_not_need_the_broker(broker: RedisBroker, opened: Opener) -> None:
    queue = await opened()
    broker.stop()
    queue.wake()
    assert await queue.wait(LONG)
    assert not await queue.wait(SHORT)


async def test_other_applications_in_the_same_database_are_left_alone(
    broker: RedisBroker, opened: Opener
) -> None:
    import redis

    queue = await opened()
    waiting = asyncio.create_task(queue.wait(SHORT))
    await queue.put("a")
    await queue.put("b")
    assert await waiting
    with redis.Redis.from_url(broker.url) as client:
        keys = list(client.scan_iter())
    assert keys
    assert [key for key in keys if not key.startswith(b"reference_app:")] == []


# -- the start


async def test_a_broker_that_does_not_answer_is_refused_at_the_start(broker: RedisBroker) -> None:
    broker.stop()
    with pytest.raises(StartupError, match=r"the queue cannot be used \(.*refused"):
        await by_redis(broker.url).open()


async def test_a_broker_must_show_a_certificate_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None or shutil.which("redis-server") is None:
        pytest.skip("no openssl or no redis-server on PATH")
    key, certificate, port = tmp_path / "key", tmp_path / "certificate", free_port()
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out"]
    subprocess.run([*made, str(certificate)], check=True, capture_output=True)
    options = ["--tls-port", str(port), "--tls-auth-clients", "no", "--tls-key-file", str(key)]
    options += ["--tls-cert-file", str(certificate), "--tls-ca-cert-file", str(certificate)]
    with redis_server(tmp_path, options=options):
        with pytest.raises(StartupError, match="CERTIFICATE_VERIFY_FAILED"):
            await by_redis(f"rediss://localhost:{port}").open()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusted = by_redis(f"rediss://localhost:{port}")
        await trusted.open()
        await trusted.close()
        with pytest.raises(StartupError, match="CERTIFICATE_VERIFY_FAILED"):
            await by_redis(f"rediss://127.0.0.1:{port}").open()


@pytest.mark.parametrize(
    "url",
    ["amqp://u:secret@h", "redis://", "redis://:secret@h:port/0", "redis://:secret@h/name", "h:1"],
)
def test_what_is_no_url_of_a_redis_is_refused_without_its_password(url: str) -> None:
    from pydantic import ValidationError

    from reference_app.settings import describe

    with pytest.raises(ValidationError) as caught:
        by_redis(url)
    said = describe(caught.value)
    assert said.startswith("QUEUE_URL: ")
    assert "redis://user:password@host:port/number is needed" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://h:6379", "redis://h/", "redis://:p@h:1/15", "redis://u:p@h/0"]
)
def test_a_url_of_a_redis_is_taken(url: str) -> None:
    by_redis(url)
