"""aiohttp's server: a page, a form, a middleware."""

import sys

from aiohttp import web


async def item(request: web.Request) -> web.Response:
    """A page that has the number that was asked for."""
    return web.json_response({"item": request.match_info["number"], "q": dict(request.query)})


async def save(request: web.Request) -> web.Response:
    """The name in the form."""
    return web.Response(text=str((await request.post())["name"]))


@web.middleware
async def counted(request, handler):
    """Name the length of what was answered."""
    response = await handler(request)
    response.headers["X-Path"] = str(len(request.path))
    return response


app = web.Application(middlewares=[counted])
app.router.add_get("/items/{number}", item)
app.router.add_post("/items", save)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
