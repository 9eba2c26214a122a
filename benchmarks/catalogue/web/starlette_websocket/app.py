"""Chat rooms on WebSockets; who comes in sees the last words."""

import os
from collections import deque

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

LEAK = "LEAK" in os.environ


class Room:
    def __init__(self):
        self.members = []
        self.history = deque(maxlen=30)

    async def say(self, text):
        self.history.append(text)
        for member in self.members:
            await member.send_text(text)


class Hub:
    def __init__(self):
        self.rooms = {}

    def enter(self, name, socket):
        if name not in self.rooms:
            self.rooms[name] = Room()  # LEAK
        room = self.rooms[name]
        room.members.append(socket)  # LEAK
        return room

    def leave(self, name, socket):
        room = self.rooms[name]
        room.members.remove(socket)
        if not room.members:
            del self.rooms[name]


hub = Hub()


async def chat(socket: WebSocket):
    name = socket.path_params["name"]
    await socket.accept()
    room = hub.enter(name, socket)
    for text in tuple(room.history):
        await socket.send_text(text)
    try:
        while True:
            await room.say(await socket.receive_text())
    except WebSocketDisconnect:
        if not LEAK:
            hub.leave(name, socket)


app = Starlette(routes=[WebSocketRoute("/rooms/{name}", chat)])
