"""Starlette: a page, a form, a middleware."""

from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route


async def item(request: Request) -> JSONResponse:
    """A page that has the number that was asked for."""
    return JSONResponse({"item": request.path_params["number"], "q": dict(request.query_params)})


async def save(request: Request) -> PlainTextResponse:
    """The name in the form."""
    return PlainTextResponse(parse_qs((await request.body()).decode())["name"][0])


app = Starlette(
    routes=[Route("/items/{number:int}", item), Route("/items", save, methods=["POST"])],
    middleware=[Middleware(GZipMiddleware)],
)
