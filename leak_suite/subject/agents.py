"""The host's side of the agents: which Python processes have one, and asking them."""

from __future__ import annotations

import ast
import contextlib
import os
import secrets
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["AgentHub", "AgentLink", "Life", "is_alive", "life_of"]

_SITE = Path(__file__).parent.parent / "agent" / "site"
_VARIABLE = "LEAK_SUITE_AGENT"
_CREDENTIALS = struct.Struct("3i")
_HELLO_BYTES = 4096
_WAITING = 1024
"""Agents that may wait to be let in; the kernel may allow fewer."""


class Life(NamedTuple):
    """One process from its start to its end: a process id can come again, with its start cannot.

    `start` is in clock ticks since the machine's start, as in /proc.
    """

    pid: int
    start: int


def life_of(pid: int) -> tuple[Life, int] | None:
    """(its life, its parent's process id); None once it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rfind(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    return Life(pid, int(fields[19])), int(fields[1])


def is_alive(life: Life) -> bool:
    """Whether that process holds anything still."""
    found = life_of(life.pid)
    if found is not None:
        return found[0] == life
    try:  # its first thread may end before the others, which hold what is open
        return len(list(os.scandir(f"/proc/{life.pid}/task"))) > 1
    except OSError:
        return False


@dataclass
class AgentLink:
    """The connection to the agent in one process."""

    life: Life
    connection: socket.socket
    forked: bool
    checked: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)
    self_check: Mapping[str, Any] = field(default_factory=dict)
    blind: Mapping[str, str] = field(default_factory=dict)
    question: bytes = b""
    buffer: bytes = b""


class AgentHub:
    """Listens for agents, and asks them; enter it before the subject starts.

    It listens on an abstract Unix socket: no file, no permission and no length of a path is in the
    way of a process that changes its user or its root. A token in the environment tells the
    subject's own processes from strangers. A hub for several subjects is entered by each, and by
    who made it: it listens until the last has left.

    `place` and `listener` are those of another process, which has begun to `listen` for this one.
    """

    def __init__(
        self, place: tuple[str, str] | None = None, listener: socket.socket | None = None
    ) -> None:
        made = ("leak-suite-" + secrets.token_hex(8), secrets.token_hex(16))
        self._address, self._token = place or made
        self._entered = 0
        self._links: dict[Life, AgentLink] = {}
        self._declined: dict[Life, str] = {}
        self._remembered: set[Life] = set()
        self._replaced: list[AgentLink] = []  # closed at the end: one may be asked just now
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._listener = listener

    def listen(self) -> socket.socket:
        """Have agents wait until this hub is entered, here or where the socket is taken to."""
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind("\0" + self._address)
            self._listener.listen(_WAITING)
        return self._listener

    def __enter__(self) -> AgentHub:
        self._entered += 1
        if self._entered > 1:
            return self
        listener = self.listen()
        self._thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = max(0, self._entered - 1)
        if self._entered:
            return
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self._thread.join()
        with self._lock:
            links, self._links = [*self._links.values(), *self._replaced], {}
            self._replaced.clear()
        for link in links:
            link.connection.close()

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` with what brings the agent into every Python process that is started with it."""
        path = base.get("PYTHONPATH")
        folders = [str(_SITE), *([path] if path else [])]
        return {
            **base,
            "PYTHONPATH": os.pathsep.join(folders),
            **dict([self.variable]),
        }

    @property
    def variable(self) -> tuple[str, str]:
        """The environment variable by which an agent finds this hub, and its value."""
        return _VARIABLE, f"{self._address} {self._token}"

    @staticmethod
    def is_on_path(path: str) -> bool:
        """Whether what loads the agent is among the folders of a PYTHONPATH."""
        return str(_SITE) in path.split(os.pathsep)

    @property
    def place(self) -> tuple[str, str]:
        """(name of the abstract socket, token): what an agent must know to register."""
        return self._address, self._token

    def wait_for_all(self, lives: Iterable[Life], seconds: float) -> None:
        """Until none of these is awaited any more, but no longer than this."""
        waited = list(lives)
        until = time.monotonic() + seconds
        with self._changed:
            while any(self._is_awaited(life) for life in waited):
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(min(left, 0.1))  # nothing reports an end, so it is looked for

    def is_awaited(self, life: Life) -> bool:
        """Whether that process lives, and has neither an agent nor declined one."""
        with self._lock:
            return self._is_awaited(life)

    def _is_awaited(self, life: Life) -> bool:
        if life in self._links or life in self._declined:
            return False
        found = life_of(life.pid)
        return found is not None and found[0] == life

    def declined(self, life: Life) -> str:
        """Why that process did not take the agent in; "" where it did not say so."""
        with self._lock:
            return self._declined.get(life, "")

    def dismiss(self, seconds: float) -> None:
        """Have every agent leave its process; done when each has closed its connection."""
        with self._lock:
            links, self._links = list(self._links.values()), {}
        until = time.monotonic() + seconds
        for link in links:
            with contextlib.suppress(OSError):
                link.connection.sendall(b"leave\n")
        for link in links:
            with contextlib.suppress(OSError):
                link.connection.settimeout(max(0.01, until - time.monotonic()))
                while link.connection.recv(_HELLO_BYTES):
                    pass
            link.connection.close()

    def remember(self, lives: Iterable[Life]) -> None:
        """These are the subject's, wherever they go; every agent's process is remembered too."""
        with self._lock:
            self._remembered.update(lives)

    def remembered(self) -> list[Life]:
        """Those that still live: a daemon may have left its parent and lost its environment."""
        with self._lock:
            lives = self._remembered
            lives.intersection_update([one for one in lives if is_alive(one)])
            return sorted(lives)

    def links(self) -> list[AgentLink]:
        """The agents that are there now, in the order in which their processes started."""
        with self._lock:
            return sorted(self._links.values(), key=lambda link: (link.life.start, link.life.pid))

    def link(self, life: Life) -> AgentLink | None:
        """The agent in that process, if there is one."""
        with self._lock:
            return self._links.get(life)

    def wait_for(self, pid: int, seconds: float) -> AgentLink | None:
        """The agent of that process, once it has connected; None if it has not in `seconds`."""

        def found() -> AgentLink | None:
            return next((link for life, link in self._links.items() if life.pid == pid), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None, seconds)
            return found()

    def ask(
        self, links: Iterable[AgentLink], question: str, seconds: float
    ) -> dict[Life, dict[str, Any]]:
        """What each answered, all asked at once; those that are gone or silent are left out."""
        asked = [link for link in links if self._send(link, question.encode() + b"\n")]
        answers: dict[Life, dict[str, Any]] = {}
        until = time.monotonic() + seconds
        waiting = {link.life for link in asked}
        while waiting:
            current = [link for life in waiting if (link := self.link(life)) is not None]
            ready = _readable([link.connection for link in current], until - time.monotonic())
            if ready is None:
                break
            for link in current:
                if link.connection in ready:
                    answer = self._received(link)
                    if answer is not None:
                        answers[link.life] = answer
            waiting = {life for life in waiting - set(answers) if self._may_answer(life)}
        for life in waiting:  # a late answer would be taken for one to the next question
            self._drop(life)
        return answers

    def _may_answer(self, life: Life) -> bool:
        return self.link(life) is not None

    def _send(self, link: AgentLink, question: bytes) -> bool:
        link.question, link.buffer = question, b""
        try:
            link.connection.sendall(question)
        except OSError:
            # It may be about to connect again (the subject closed its descriptors).
            return self._came_back(link)
        return True

    def _received(self, link: AgentLink) -> dict[str, Any] | None:
        """A whole answer, if there is one by now."""
        try:
            data = link.connection.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self._came_back(link)
            return None
        link.buffer += data
        if not link.buffer.endswith(b"\n"):
            return None
        answer: dict[str, Any] = ast.literal_eval(link.buffer.decode())
        link.question, link.buffer = b"", b""
        return answer

    def _came_back(self, link: AgentLink) -> bool:
        """Whether that process has connected anew; its connection was closed. Asked again then."""
        with self._changed:
            if self._links.get(link.life) is link:
                if life_of(link.life.pid) is not None:
                    self._changed.wait_for(
                        lambda: self._links.get(link.life) is not link, timeout=0.2
                    )
                if self._links.get(link.life) is link:
                    del self._links[link.life]
                    link.connection.close()
                    return False
            again = self._links.get(link.life)
        return again is not None and self._send(again, link.question)

    def _drop(self, life: Life) -> None:
        with self._lock:
            link = self._links.pop(life, None)
        if link is not None:
            link.connection.close()

    # ---- listening

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                self._welcome(connection)
            except (OSError, ValueError, SyntaxError, KeyError):
                connection.close()

    def _welcome(self, connection: socket.socket) -> None:
        connection.settimeout(2.0)
        hello = ast.literal_eval(_line(connection).decode())
        if hello["hello"] != self._token:
            raise ValueError("a stranger")
        connection.settimeout(None)
        found = life_of(_peer_pid(connection))
        if found is None:
            raise ValueError("gone already")
        self.remember([found[0]])
        if "declined" in hello:
            connection.close()
            with self._changed:
                self._declined[found[0]] = str(hello["declined"])
                self._changed.notify_all()
            return
        link = AgentLink(found[0], connection, bool(hello["forked"]))
        with self._changed:
            before = self._links.get(link.life)
            self._links[link.life] = link
            if before is not None:
                self._replaced.append(before)
                link.checked, link.about = before.checked, before.about
                link.self_check, link.blind = before.self_check, before.blind
            self._changed.notify_all()


def _line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        more = connection.recv(_HELLO_BYTES)
        if not more or len(data) > _HELLO_BYTES:
            raise ValueError("not an agent")
        data += more
    return data


def _peer_pid(connection: socket.socket) -> int:
    """The process at the other end, by the number that it has on this side of namespaces."""
    size = _CREDENTIALS.size
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid: int = _CREDENTIALS.unpack(packed)[0]
    return pid


def _readable(connections: Iterable[socket.socket], seconds: float) -> set[socket.socket] | None:
    """Those with something to read; None once the time is up."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            with contextlib.suppress(ValueError, OSError):
                selector.register(connection, selectors.EVENT_READ)
        ready = selector.select(max(0.0, min(seconds, 0.5)))
    if ready:
        return {key.fileobj for key, _ in ready if isinstance(key.fileobj, socket.socket)}
    return set() if seconds > 0 else None
