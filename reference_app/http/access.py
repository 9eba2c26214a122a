"""Who may ask for what: jobs belong to whoever knows their id, the rest to the operator.

A job's id is its key, so nothing lists ids without the operator's. State is changed by programs
and by pages of this service's own origin; a page from elsewhere is refused unless it is allowed.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections import OrderedDict, deque
from contextlib import suppress
from urllib.parse import urlsplit

from fastapi import Depends, Request

from reference_app.clock import Clock
from reference_app.errors import Forbidden, TooManyRequests, Unauthorized
from reference_app.settings import MIB, Settings

__all__ = ["Access", "ClientLimits", "OperatorOnly", "OwnOrigin", "Uploader"]

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_WINDOW_SECONDS = 60.0
# So many clients are remembered at most; the one that was seen first is forgotten first.
_MOST_CLIENTS = 10_000


class Access:
    """The keys, the origins and the limits of clients, as the settings give them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._admin_key = settings.admin_key
        self._api_key = settings.api_key
        self._origins = settings.allowed_origin_list
        self._max_body_bytes = settings.max_body_bytes
        self.limits = ClientLimits(
            clock,
            jobs_per_minute=settings.client_jobs_per_minute,
            bytes_per_minute=(settings.client_mb_per_minute or 0) * MIB or None,
        )

    @property
    def notice(self) -> str:
        """One line for the log at start: who may list jobs."""
        if self._admin_key is None:
            return "jobs are listed, monitored and counted for loopback alone: set ADMIN_KEY"
        return "jobs are listed, monitored and counted for whoever has the ADMIN_KEY"

    def check_operator(self, request: Request) -> None:
        """Raise `Unauthorized` without the key; without a key in the settings, `Forbidden`."""
        if self._admin_key is not None:
            if not _has_key(request, self._admin_key.get_secret_value(), "x-admin-key"):
                raise Unauthorized("This needs the operator's key.")
        elif not _is_local(request):
            raise Forbidden("This is for the operator: from this machine, or with an ADMIN_KEY.")

    def check_origin(self, request: Request) -> None:
        """Raise `Forbidden` where a page of another origin wants to change something."""
        if request.method in _SAFE_METHODS:
            return
        origin = request.headers.get("origin")
        if origin is None:
            foreign = request.headers.get("sec-fetch-site") == "cross-site"
        else:
            own = _host_of(origin) == request.headers.get("host", "")
            foreign = not own and origin not in self._origins
        if foreign:
            raise Forbidden(
                "Pages of other origins may not change anything here; see ALLOWED_ORIGINS.",
                close=True,
            )

    def check_upload(self, request: Request) -> None:
        """Raise `Unauthorized` without the key that uploads need, `TooManyRequests` above limits.

        The body is not read, so its connection is closed.
        """
        key = self._api_key
        if key is not None and not _has_key(request, key.get_secret_value(), "x-api-key"):
            raise Unauthorized("An upload needs the service's API key.", close=True)
        declared = request.headers.get("content-length", "")
        # What comes without a length may be as large as anything.
        size = int(declared) if declared.isdecimal() else self._max_body_bytes
        self.limits.admit(client_of(request), size)


class ClientLimits:
    """What each client has sent within the last minute; unlimited where a limit is None."""

    def __init__(
        self, clock: Clock, *, jobs_per_minute: int | None, bytes_per_minute: int | None
    ) -> None:
        self._clock = clock
        self._jobs = jobs_per_minute
        self._bytes = bytes_per_minute
        self._sent: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def admit(self, client: str, size_bytes: int) -> None:
        """Count an upload of this size; raises `TooManyRequests`, and counts nothing, above."""
        if self._jobs is None and self._bytes is None:
            return
        now = self._clock.monotonic()
        sent = self._sent.setdefault(client, deque())
        while sent and sent[0][0] <= now - _WINDOW_SECONDS:
            sent.popleft()
        too_many = self._jobs is not None and len(sent) >= self._jobs
        total = sum(size for _, size in sent) + size_bytes
        # A single file above the limit is taken when nothing else was sent.
        too_much = bool(sent) and self._bytes is not None and total > self._bytes
        if too_many or too_much:
            raise TooManyRequests(
                f"More than {self._jobs} uploads a minute from one client."
                if too_many
                else f"More than {(self._bytes or 0) // MIB} MiB a minute from one client.",
                retry_after_seconds=max(1, round(sent[0][0] + _WINDOW_SECONDS - now)),
                close=True,
            )
        sent.append((now, size_bytes))
        while len(self._sent) > _MOST_CLIENTS:
            self._sent.popitem(last=False)

    def __len__(self) -> int:
        return len(self._sent)


def client_of(request: Request) -> str:
    """The client's address: the server puts in what a trusted proxy says (FORWARDED_ALLOW_IPS)."""
    return request.client.host if request.client else ""


def _has_key(request: Request, key: str, header: str) -> bool:
    """Whether the key is there: in its own header, as a bearer token, or as a basic password."""
    given = [request.headers.get(header, "")]
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        given.append(value.strip())
    elif scheme.lower() == "basic":
        with suppress(ValueError):
            given.append(base64.b64decode(value).decode().partition(":")[2])
    # A comparison takes the same time however much of the key is right.
    return any(secrets.compare_digest(one.encode(), key.encode()) for one in given)


def _is_local(request: Request) -> bool:
    """Whether this comes from this machine, under a name of this machine, and from no proxy.

    A proxy on this machine would make everybody local, and so would a page whose name has been
    pointed at this address.
    """
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return _is_loopback(client_of(request)) and (host == "localhost" or _is_loopback(host))


def _host_of(origin: str) -> str | None:
    """The host of an origin with its port, as a Host header has it; None where it has none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _own_origin(request: Request) -> None:
    access: Access = request.app.state.access
    access.check_origin(request)


async def _operator_only(request: Request) -> None:
    access: Access = request.app.state.access
    access.check_operator(request)


async def _uploader(request: Request) -> None:
    access: Access = request.app.state.access
    access.check_upload(request)


OwnOrigin = Depends(_own_origin)
OperatorOnly = Depends(_operator_only)
Uploader = Depends(_uploader)
