"""The agent in a process that it did not start: registers with the host, answers from a thread.

It is loaded by `site/sitecustomize.py` into every Python process of the subject, and follows forks
by `os.register_at_fork`. The thread is not there while the process forks: Python 3.12 and later
warn of a fork beside threads, and `-W error` would make that the subject's failure.
"""

from __future__ import annotations

import _thread
import os
import sys

from .forks import follow_forks, quietly, soon

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from typing import Any

    from .forks import Follower
    from .session import Session

__all__ = [
    "HIGH_FD",
    "OWN_FDS",
    "VARIABLE",
    "Resident",
    "enter",
    "follow",
    "follow_last",
    "in_this_process",
    "join",
]

VARIABLE = "LEAK_SUITE_AGENT"
"""`NAME TOKEN`: the abstract Unix socket that the host listens on, and what proves us to it."""
COLLECTOR = "LEAK_SUITE_COLLECTOR"
"""How the collector of each process is to be set; absent where it is to be left alone."""
HIGH_FD = 200
"""Our descriptors are moved above this number where they can: programs count on low ones."""
OWN_FDS = 3
PREWARM_READS = 12
_CONNECT_SECONDS = 2.0
_THREAD_END_SECONDS = 0.1
_STANDARD_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.semaphore_tracker")


class Resident:
    """The connection of one process to the host, and the thread that serves it.

    `session` may be set where the process has one already (an app that the agent serves); else it
    is made on the first question, so that a process that nobody asks pays for a thread only.
    One that is `passing` leaves the process as it was once the host says so or is gone.
    """

    def __init__(self, address: str, token: str, *, passing: bool = False) -> None:
        self._address = b"\0" + address.encode()
        self._token = token
        self._passing = passing
        self.session: Session | None = None
        self.follower: Follower | None = None
        self.on_stop: Any = None
        self.main_thread = _thread.get_ident()
        self._socket: Any = None
        self._wake: tuple[int, int] | None = None
        self._known: dict[int, tuple[int, int]] = {}
        self._running: Any = None
        self._pausing = self._forking = False
        self._thread_id = 0
        self._rest = b""
        self._forked = False
        self._ended = False
        self._inherits_frozen = False

    @property
    def is_served(self) -> bool:
        """Whether the thread is there that answers the host."""
        return self._running is not None and bool(self._running.locked())

    def start(self) -> None:
        """Connect, say who this is, and answer from now on; nothing where nobody listens."""
        self._forking = False
        if self._running is not None or self._ended:
            return
        if self._socket is None and not self._connect():
            return
        self._open_wake()
        self._pausing = False
        running, begun = _thread.allocate_lock(), _thread.allocate_lock()
        running.acquire()
        begun.acquire()
        try:
            _thread.start_new_thread(self._serve, (running, begun))
        except RuntimeError:  # no thread can be had: the host sees this process from outside
            self.close()
            return
        self._running = running
        # An interpreter that ends while a thread is only being made crashes, up to 3.11 at least.
        begun.acquire()

    def _open_wake(self) -> None:
        self._wake = os.pipe()
        self._wake = (_moved_up(self._wake[0]), _moved_up(self._wake[1]))
        for fd in self._wake:
            self._remember(fd)

    def _connect(self, **said: str) -> bool:
        """Reach the host, and say who this is, or what else is `said`."""
        import _socket

        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            connection.settimeout(_CONNECT_SECONDS)
            connection.connect(self._address)
            connection.settimeout(None)
            fd = _moved_up(connection.detach())
            connection = _socket.socket(fileno=fd)
            connection.settimeout(None)
            self._socket = connection
            self._remember(fd)
            self._send({"hello": self._token, "forked": self._forked, **said})
        except OSError:
            connection.close()
            self._socket = None
            return False
        self._rest = b""
        return True

    def _remember(self, fd: int) -> None:
        status = os.fstat(fd)
        self._known[fd] = (status.st_dev, status.st_ino)

    def _is_ours(self, fd: int) -> bool:
        """Whether the subject has not closed it: daemons close all they find, and open others."""
        try:
            status = os.fstat(fd)
        except OSError:
            return False
        return self._known.get(fd) == (status.st_dev, status.st_ino)

    def _close_fd(self, fd: int) -> None:
        if self._is_ours(fd):
            os.close(fd)
        self._known.pop(fd, None)

    def close(self) -> None:
        """Give up the connection."""
        if self._socket is not None:
            self._close_fd(self._socket.detach())
            self._socket = None
        self._close_wake()

    def _close_wake(self) -> None:
        for fd in self._wake or ():
            self._close_fd(fd)
        self._wake = None

    # ---- the thread

    def _serve(self, running: Any, begun: Any) -> None:
        self._thread_id = _thread.get_native_id()
        begun.release()
        try:
            while self._answer_next():
                pass
        except BaseException as error:  # of no concern to the subject
            why = f"the agent failed there: {type(error).__name__}: {error}"
            quietly(lambda: self._give_up(why))
        finally:
            try:
                if self._passing and not self._pausing:
                    self.leave()
            finally:
                running.release()

    def _give_up(self, why: str) -> None:
        """Tell the host that this process has no agent from here on."""
        self._ended = True
        self.close()
        self._connect(declined=why)
        self.close()

    def _begin_anew(self) -> bool:
        """Make new descriptors where the subject has closed ours, unless it is about to fork."""
        self.close()
        self._open_wake()
        self._rest = b""
        return not self._forking and self._connect()

    def leave(self) -> None:
        """Give the process back as it was.

        What must stay is the fork hook, since Python has no call that takes one away; without a
        resident it does nothing. The connection goes last: its end shows the host that all is done.
        """
        session, self.session = self.session, None
        try:
            if session is not None:
                session.close()
            elif self._inherits_frozen:
                import gc

                gc.unfreeze()
        finally:
            self.unfollow()
            package = __name__.rpartition(".")[0]
            for name in list(sys.modules):
                if name == package or name.startswith(package + "."):
                    del sys.modules[name]
            self.close()

    def unfollow(self) -> None:
        """Let children be without an agent from here on."""
        if self.follower is not None:
            self.follower.let_go()
        if self in _found:
            _found.remove(self)

    def _answer_next(self) -> bool:
        """Wait for a question and answer it; False when the thread shall end."""
        import select

        wake, connection = self._wake, self._socket
        if wake is None or connection is None:
            return False
        if b"\n" not in self._rest:
            poll = select.poll()
            poll.register(wake[0], select.POLLIN)
            poll.register(connection.fileno(), select.POLLIN)
            ready = dict(poll.poll())
            if not self._is_ours(wake[0]) or not self._is_ours(connection.fileno()):
                return self._begin_anew()
            if wake[0] in ready:
                self._pausing = True
                return False
            data = connection.recv(65536)
            if not data:
                return False
            self._rest += data
            return True
        line, _, self._rest = self._rest.partition(b"\n")
        words = line.decode().split(" ")
        if self._passing and words[0] == "leave":
            return False
        self._send(self._answer(words))
        return True

    def _send(self, value: dict[str, Any]) -> None:
        if not self._is_ours(self._socket.fileno()):
            return
        self._socket.sendall((repr(value) + "\n").encode("utf-8", "backslashreplace"))

    def _answer(self, words: list[str]) -> dict[str, Any]:
        from .answers import answer

        if self.session is None:
            from .session import Session

            self.session = Session("", own_fds=OWN_FDS, own_threads=1)
            self.session.on_trace = follow_last
            if self._inherits_frozen:
                self.session.reader.adopt_frozen()
        if words[0] == "prewarm":
            # Until what reading itself keeps is there: its caches, the bins of the C library.
            for _ in range(PREWARM_READS):
                self._answer(["read"])
            return {"read": PREWARM_READS}
        if words[0] == "self_check":
            checks = self.session.self_check(memory_only=True)
            about = {**self.session.about(), "blind": dict(self.session.reader.blind)}
            return {"self_check": checks, **about}
        if words[0] == "stop":
            if self.on_stop is not None:
                self.on_stop()
            return {"stopped": True}
        if words[0] == "leave":
            self.session.close()
            return {"left": True}
        return answer(self.session, words, lambda: True)

    # ---- forks

    def before_fork(self) -> None:
        """End the thread, and wait until the kernel has no trace of it either."""
        self._forking = True
        running, self._running = self._running, None
        if running is None:
            return
        if self._wake is not None and self._is_ours(self._wake[1]):
            os.write(self._wake[1], b"x")
            running.acquire()
        self._close_wake()
        _wait_until_gone(self._thread_id)

    def end(self) -> None:
        """The interpreter ends: no thread of ours is there while it is taken down."""
        self._ended = True
        self.before_fork()
        self.close()

    def after_in_parent(self, was_running: bool) -> None:
        """Begin again, but not at once: Python counts the threads after this has returned."""
        if was_running:
            soon(self.start)

    def after_in_child(self) -> None:
        """A process of its own: leave the parent's connection, and make one."""
        if self._socket is not None:
            self._close_fd(self._socket.detach())
            self._socket = None
        self._running = None
        session, self.session = self.session, None
        if session is not None:
            self._inherits_frozen = bool(session.reader.frozen)
            session.forget()
        self.main_thread = _thread.get_ident()
        self._forked = True
        self.start()
        if self._passing and not self.is_served:
            self.leave()


_found: list[Resident] = []


def join() -> None:
    """Register this process, and follow its forks. Called once, by the agent's `sitecustomize`."""
    address, _, token = os.environ[VARIABLE].partition(" ")
    if _is_helper():
        return
    if COLLECTOR in os.environ:
        _set_collector(os.environ[COLLECTOR])
    resident = Resident(address, token)
    _found.append(resident)
    resident.follower = follow_forks(resident)
    if not _is_driver():
        resident.start()


def enter(address: str, token: str) -> None:
    """Register a process that ran before the host came, and follow its forks until it leaves."""
    resident = Resident(address, token, passing=True)
    resident.start()
    if not resident.is_served:
        resident.leave()
        return
    _found.append(resident)
    resident.follower = follow_forks(resident)


def follow(address: str, token: str) -> Resident | None:
    """Have the children of this process register, but not itself, until it is told to `unfollow`.

    None where an agent is here already: another gate measures this process.
    """
    if _found:
        return None
    resident = Resident(address, token)
    _found.append(resident)
    resident.follower = follow_forks(resident)
    return resident


def _set_collector(wish: str) -> None:
    """What a trial of a remedy wants: "freeze" before each fork, or thresholds like "700,10,10"."""
    import gc

    if wish == "freeze":
        os.register_at_fork(before=gc.freeze)
        os.register_at_fork(before=gc.collect)  # the last that is registered runs first
    else:
        gc.set_threshold(*(int(word) for word in wish.split(",")))


def in_this_process() -> Resident | None:
    """The resident of this process; None where its interpreter runs no `sitecustomize`."""
    return _found[0] if _found else None


def follow_last() -> None:
    """Follow forks after a tracer that has just begun: its own hooks must have run by then."""
    resident = in_this_process()
    if resident is not None and resident.follower is not None:
        resident.follower.come_last()


def _arguments() -> list[str]:
    found = getattr(sys, "orig_argv", None)
    if found is not None:
        return list(found)
    try:
        fd = os.open("/proc/self/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return os.read(fd, 65536).decode("utf-8", "replace").split("\0")
    finally:
        os.close(fd)


def _is_helper() -> bool:
    """Whether this is a process by which the standard library helps itself."""
    return any(name in word for word in _arguments() for name in _STANDARD_HELPERS)


def _is_driver() -> bool:
    """Whether the agent started this process and talks to the host in its own way."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    return program in _arguments()


def _moved_up(fd: int) -> int:
    """The same open file under a high number; where that cannot be had, as it is."""
    try:
        import fcntl

        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    except (ImportError, OSError):
        return fd
    os.close(fd)
    return high


def _wait_until_gone(thread_id: int) -> None:
    """A thread that has released its last lock is still counted by the kernel for a moment."""
    import time

    path = f"/proc/self/task/{thread_id}"
    until = time.monotonic() + _THREAD_END_SECONDS
    while os.path.exists(path) and time.monotonic() < until:
        time.sleep(0.0001)
