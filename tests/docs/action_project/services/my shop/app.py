"""An ASGI application without a framework, and its leaky twin."""

SEEN = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def leaky(scope, receive, send):
    if scope["type"] == "http":
        SEEN.append(bytearray(3000))
    await app(scope, receive, send)
