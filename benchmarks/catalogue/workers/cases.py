"""The workers: how each is started, what drives it, what grows in its leaky twin."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.catalogue import case

__all__ = ["CASES"]

_HERE = Path(__file__).resolve().parent
_GUNICORN = "gunicorn -w 2 -b 127.0.0.1:{port}"
_UVICORN = f"{_GUNICORN} -k uvicorn_worker.UvicornWorker"
_CELERY = "celery -A tasks worker --loglevel WARNING"

_command = partial(case.command, _HERE)
_function = partial(case.function, _HERE)
_flask = partial(
    _command,
    *("gunicorn_flask", "Flask: what was found, in a dict", "workload.py:type_address", 2500),
    warm_up=1000,
)
_django = partial(
    _command, "gunicorn_django", "Django: listeners of a signal", "workload.py:subscribe", 4000
)
_fastapi = partial(
    _command,
    *("fastapi_workers", "FastAPI: sessions without an end", "workload.py:play", 8000),
    warm_up=600,
)
_celery = partial(
    _command,
    *("celery_tasks", "Celery: a task's instance keeps receipts", "push.py:push", 8000),
    redis=True,
    warm_up=120,
)

CASES = (
    _flask(name="gunicorn_sync_flask", argv=f"{_GUNICORN} app:app"),
    _flask(name="gunicorn_gthread_flask", argv=f"{_GUNICORN} --threads 4 app:app"),
    _flask(name="gunicorn_uvicorn_flask", argv=f"{_UVICORN} asgi:app"),
    _django(name="gunicorn_sync_django", argv=f"{_GUNICORN} wsgi"),
    _django(name="gunicorn_gthread_django", argv=f"{_GUNICORN} --threads 4 wsgi"),
    _django(name="gunicorn_uvicorn_django", argv=f"{_UVICORN} asgi:application"),
    _fastapi(name="gunicorn_uvicorn_fastapi", argv=f"{_UVICORN} app:app"),
    _fastapi(name="uvicorn_workers", argv="uvicorn app:app --workers 2 --port {port}"),
    _command(
        "recycled_gunicorn",
        "workers that are replaced every 200 requests",
        "workload.py:send",
        60e3,
        argv=f"{_GUNICORN} --max-requests 200 app:app",
        warm_up=40,
        calls=60,
    ),
    _command(
        "inherited_heap",
        "growth into a heap that the child has inherited",
        "workload.py:ask",
        2900,
        argv="python server.py {port}",
        warm_up=300,
    ),
    _command(
        "grandchild",
        "the server is the child of a child",
        "workload.py:vote",
        4000,
        argv="python supervisor.py {port}",
    ),
    _command(
        "daemon",
        "an asyncio daemon without a port",
        "workload.py:drop",
        12e3,
        argv="python daemon.py",
        options=("--ready-when", "watching the inbox"),
    ),
    _celery(name="celery_prefork", argv=f"{_CELERY} -c 2"),
    _celery(name="celery_threads", argv=f"{_CELERY} -P threads -c 4"),
    _celery(
        name="celery_recycled",
        argv=f"{_CELERY} -c 2 --max-tasks-per-child 600",
        warm_up=260,
        calls=150,
    ),
    _command(
        "rq_jobs",
        "RQ without a fork: an index that grows",
        "push.py:push",
        90e3,
        argv="rq worker pages -w rq.SimpleWorker",
        options=("--ready-when", "Listening on"),
        redis=True,
    ),
    _command(
        "rq_parent",
        "RQ with a fork for each job: the parent keeps the jobs",
        "push.py:push",
        130e3,
        argv="rq worker letters --quiet -w report_worker.ReportWorker",
        redis=True,
        calls=20,
    ),
    _command(
        "dramatiq_actors",
        "Dramatiq: a middleware keeps the messages",
        "push.py:push",
        30e3,
        argv="dramatiq actors -p 2 -t 4",
        redis=True,
    ),
    _function("pool_fork", "Pool by fork: results kept in its processes", 80e3),
    _function("pool_spawn", "Pool by spawn: log records kept in its processes", 80e3),
    _function("pool_forkserver", "Pool by forkserver: buffers that are not used again", 80e3),
    _function("executor", "ProcessPoolExecutor: callbacks that are never called", 100e3),
    _function("child_per_call", "a process for each call: its pipe stays open", 2, "fds"),
    _function(
        "replaced_pool",
        "a pool that is replaced while the old one is not ended",
        0.08,
        *("children", "fds", "threads"),
        warm_up=51,
        calls=50,
    ),
)
