"""Breadcrumbs of a request in a context variable, for the log when something fails."""

import os
from contextvars import ContextVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

LEAK = "LEAK" in os.environ
# One list for every context that has not set its own.
breadcrumbs: ContextVar[list[str]] = ContextVar("breadcrumbs", default=[])


def note(text):
    breadcrumbs.get().append(text)  # LEAK


async def load_user(name):
    note(f"user {name} is read from the cache")  # LEAK
    return {"name": name}


async def profile(request: Request):
    if not LEAK:
        breadcrumbs.set([])
    user = await load_user(request.path_params["name"])
    note(f"profile of {user['name']} is shown to {request.headers['user-agent']}")  # LEAK
    return JSONResponse(user)


app = Starlette(routes=[Route("/users/{name}", profile)])
