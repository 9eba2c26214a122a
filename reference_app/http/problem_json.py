"""Every error answer in one form: problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from reference_app.errors import Problem

__all__ = ["install", "problem_response"]


class _ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem_response(
    path: str,
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    headers: dict[str, str] | None = None,
    extra: dict[str, Any] | None = None,
) -> JSONResponse:
    """An error answer in the one form that all have."""
    body = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": path,
    }
    return _ProblemResponse({**body, **(extra or {})}, status_code=status, headers=headers)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return problem_response(
        request.url.path,
        error.status,
        error.detail,
        kind=error.kind,
        headers=error.headers,
        extra=error.extra,
    )


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return problem_response(request.url.path, error.status_code, str(error.detail), headers=headers)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": [str(part) for part in item["loc"]], "message": item["msg"]}
        for item in error.errors()
    ]
    return problem_response(
        request.url.path,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The request is not valid.",
        extra={"errors": errors},
    )


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    if (container := getattr(request.app.state, "container", None)) is not None:
        container.note_error("the service failed on a request", f"{request.url.path}: {error!r}")
    # The traceback goes to the log by way of the server; a client learns nothing of the inside.
    # The server drops the connection after an exception, so the client must not use it again.
    return problem_response(
        request.url.path,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The service failed on this request.",
        headers={"Connection": "close"},
    )


def install(app: FastAPI) -> None:
    """Give every error of `app` the same form."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_bug)
