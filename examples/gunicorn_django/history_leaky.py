"""The same middleware with a leak: it keeps every request, with all that belongs to it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class History:
    """Knows what was read last."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.pages: list[HttpRequest] = []

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and note the page."""
        response = self.get_response(request)
        self.pages.append(request)
        response["X-Read"] = str(len(self.pages))
        return response
