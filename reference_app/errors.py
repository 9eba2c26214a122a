"""What the service refuses or fails with; `http.problem_json` gives it its form on the wire."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

__all__ = [
    "Busy",
    "Conflict",
    "Forbidden",
    "NoSpace",
    "NotFound",
    "Problem",
    "StartupError",
    "StoreUnavailable",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unreadable",
    "UploadTimeout",
    "WrongType",
]


# A server that is restarted is back by then.
_AGAIN_SECONDS = 5


class StartupError(Exception):
    """The service must not start like this; the message says what to change."""


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


class Unauthorized(Problem):
    """A key is needed, and was not given."""

    status = HTTPStatus.UNAUTHORIZED
    kind = "urn:problem:unauthorized"

    @property
    def headers(self) -> dict[str, str]:
        """As for every problem, and how to give the key; browsers ask for a password."""
        return {**super().headers, "WWW-Authenticate": 'Basic realm="reference-app"'}


class Forbidden(Problem):
    """Not for this client, whatever key it has."""

    status = HTTPStatus.FORBIDDEN
    kind = "urn:problem:forbidden"


class TooManyRequests(Problem):
    """One client has sent more than its share."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    kind = "urn:problem:too-many-requests"

    def __init__(self, detail: str, *, retry_after_seconds: int, close: bool = False) -> None:
        super().__init__(detail, close=close)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """As for every problem, and when to come back."""
        return {**super().headers, "Retry-After": str(self.retry_after_seconds)}


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


class StoreUnavailable(Busy):
    """Something that the service keeps its jobs in, on another machine, does not answer."""

    def __init__(self, detail: str, *, reason: str, cause: str = "") -> None:
        super().__init__(detail, reason=reason, retry_after_seconds=_AGAIN_SECONDS)
        # For the log alone: it may name hosts.
        self.cause = cause

    def __repr__(self) -> str:
        return f"StoreUnavailable({self.detail!r}, {self.cause})"
