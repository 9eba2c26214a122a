"""The web applications: what each is, what drives it, what grows in its leaky twin."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.catalogue import case

__all__ = ["CASES"]

_app = partial(case.app, Path(__file__).resolve().parent)
_command = partial(case.command, Path(__file__).resolve().parent)

CASES = (
    _app("fastapi_upload", "async uploads, kept by their hash in a dict", "visit", 24e3),
    _app("fastapi_background", "what a background task notes", "order", 1000, warm_up=600),
    _app("fastapi_lifespan_metrics", "labels on app.state", "visit", 400, warm_up=1500),
    _app("starlette_sse", "event stream: who has left stays subscribed", "watch", 1500),
    _app("starlette_websocket", "WebSocket: rooms that everybody has left", "chat", 50e3),
    _app("fastapi_streaming_export", "streams, kept in a class attribute", "download", 4000),
    _app("fastapi_search_cache", "lru_cache without a bound", "search", 500, warm_up=1200),
    _app(
        "fastapi_tasks", "tasks that wait for what never comes", "sign_up", 2500, "memory", "tasks"
    ),
    _app("fastapi_threads", "a thread that never ends for each request", "watch", 1, "threads"),
    _app("fastapi_native_malloc", "C memory that is not freed", "send", 12e3),
    _app("fastapi_numpy_views", "an array's view keeps all of it", "add", 57e3, warm_up=400),
    _app("starlette_contextvars", "a context variable's default list", "look", 200),
    _app("fastapi_error_reports", "exceptions kept with their traceback", "load", 12e3),
    _app("fastapi_tempfiles", "temporary files that nobody deletes", "fetch", 1, "files"),
    _app("starlette_open_files", "a file for each name stays open", "report", 1, "fds"),
    _app("fastapi_slow_closures", "closures kept by a route of 0.25 s", "show", 200e3, calls=12),
    _app("django_timings", "Django ASGI: times kept by the whole address", "read", 400),
    _command(
        "django_request_history",
        "Django runserver: a middleware keeps the requests",
        "workload.py:comment",
        9000,
        argv="python manage.py runserver --noreload {port}",
    ),
    _command(
        "flask_pool_exhausted",
        "Flask: each 404 loses a connection, until none is left",
        "workload.py:visit",
        1,
        "fds",
        argv="flask --app app run --port {port}",
        calls=8,
        warm_up=8,
    ),
    _command(
        "flask_log_handlers",
        "Flask: another log handler at each request",
        "workload.py:order",
        500,
        argv="python app.py {port}",
    ),
    _command(
        "flask_signals",
        "Flask under gunicorn threads: listeners that stay connected",
        "workload.py:pay",
        3500,
        argv="gunicorn app:app -b 127.0.0.1:{port} --threads 4",
    ),
    _command(
        "flask_class_attribute",
        "Flask: a list that all instances share",
        "workload.py:bill",
        2500,
        argv="flask --app app run --port {port}",
    ),
)
