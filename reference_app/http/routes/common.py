"""What the routes share: the container behind a request, and reading routes that know HEAD."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request

from reference_app.container import ServiceContainer

__all__ = ["OPERATOR_ONLY", "Container", "get", "problems"]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


async def _container(request: Request) -> ServiceContainer:
    container: ServiceContainer = request.app.state.container
    return container


Container = Annotated[ServiceContainer, Depends(_container)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for the description."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {}},
        }
        for status in statuses
    }


OPERATOR_ONLY = problems(401, 403)


def get(router: APIRouter, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
    """Register a route for GET, and for HEAD, which the description need not repeat."""

    def register(endpoint: Endpoint) -> Endpoint:
        # GET first: its route is the one that names the allowed methods in a 405.
        router.get(path, **options)(endpoint)
        router.head(path, include_in_schema=False, response_model=None)(endpoint)
        return endpoint

    return register
