"""Everything the service refuses or fails with, and its one form on the wire: problem+json."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

__all__ = [
    "Busy",
    "Conflict",
    "JobFailed",
    "NoSpace",
    "NotFound",
    "Problem",
    "StartupError",
    "TooLarge",
    "Unreadable",
    "UploadTimeout",
    "WrongType",
    "install",
    "problem_response",
]


class StartupError(Exception):
    """The service must not start like this; the message says what to change."""


class JobFailed(Exception):
    """A job could not be done; the message is the reason that its owner reads."""


class Problem(Exception):
    """A request that is answered with an error: RFC 9457 made an exception."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    kind = "about:blank"

    def __init__(self, detail: str, *, close: bool = False, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.close = close
        self.extra = extra

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with the answer; `close` ends a connection whose body is not read."""
        return {"Connection": "close"} if self.close else {}


class NotFound(Problem):
    """There is no such job, or it has expired, or it has no such file."""

    status = HTTPStatus.NOT_FOUND
    kind = "urn:problem:not-found"


class Conflict(Problem):
    """The job is not in a state in which this can be had."""

    status = HTTPStatus.CONFLICT
    kind = "urn:problem:not-ready"


class TooLarge(Problem):
    """The file, or the body around it, is over the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    kind = "urn:problem:too-large"


class WrongType(Problem):
    """What was sent is no upload, or no video of a known kind."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    kind = "urn:problem:wrong-type"


class Unreadable(Problem):
    """The upload has the right form and cannot be read: no file in it, or a broken one."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    kind = "urn:problem:unreadable"


class UploadTimeout(Problem):
    """The client stopped sending in the middle."""

    status = HTTPStatus.REQUEST_TIMEOUT
    kind = "urn:problem:upload-timeout"


class NoSpace(Problem):
    """The spool's disk is full."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    kind = "urn:problem:no-space"


class Busy(Problem):
    """Refused for now: the queue is full, memory is short, or the service is going away."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    kind = "urn:problem:busy"

    def __init__(
        self, detail: str, *, reason: str, retry_after_seconds: int, close: bool = False
    ) -> None:
        super().__init__(detail, close=close, reason=reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """As for every problem, and when to come back."""
        return {**super().headers, "Retry-After": str(self.retry_after_seconds)}


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
    if (service := getattr(request.app.state, "service", None)) is not None:
        service.note_error("the service failed on a request", f"{request.url.path}: {error!r}")
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
