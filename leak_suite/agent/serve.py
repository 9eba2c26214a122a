"""The agent's life: set up, say so, answer questions until the host says stop."""

from __future__ import annotations

import os
import sys

from . import target
from .answers import answer, trace_plan
from .resident import OWN_FDS, follow_last
from .session import Session
from .wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    pass

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Run as `__main__.py KEY=VALUE ...`; see `leak_suite.subject.process` for the keys."""
    given: dict[str, list[str]] = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        given.setdefault(key, []).append(value)

    def one(key: str, default: str = "") -> str:
        return given.get(key, [default])[0]

    wire = Wire(int(one("request_fd")), int(one("response_fd")))
    own_fds = 2 + (OWN_FDS if one("app") else 0)
    session = Session(one("temp_dir"), own_fds=own_fds, own_threads=1 if one("app") else 0)
    session.on_trace = follow_last
    session.reader.library.die_with_parent()
    if os.getppid() != int(one("host")):
        return  # it was gone before the kernel was asked
    try:
        checks = {} if one("self_check", "1") == "0" else session.self_check()
        if one("trace"):
            session.begin_trace(trace_plan(one("trace")))
        sys.argv = [one("target") or one("app")]
        session.watch(given.get("tracked", ()), given.get("counter", ()))
        subject = target.load(one("target") or one("app"))
    except BaseException as error:
        wire.answer({"error": session.error(error)})
        raise SystemExit(3) from error
    if one("undisturbed") != "1":
        session.reader.freeze()
    about = {**session.about(), "self_check": checks, "blind": dict(session.reader.blind)}
    if one("app"):
        from . import app

        app.serve(subject, int(one("port")), wire, session, about)
        _leave()
    try:
        session.use(subject)
        about["not_called"] = target.not_called(one("target"))
    except TypeError as error:
        wire.answer({"error": str(error)})
        raise SystemExit(3) from error
    wire.answer({"ready": about})
    serve_requests(wire, session)
    _leave()


def _leave() -> None:
    """End at once, after what was registered for the end: freeing all that leaked takes long."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(0)


def serve_requests(wire: Wire, session: Session) -> None:
    """Answer until the host stops or is gone."""
    host = os.getppid()
    while True:
        words = wire.ask()
        if words is None or words[0] == "stop":
            break
        wire.answer(answer(session, words, lambda: os.getppid() == host))
    if words is not None:
        wire.answer({"stopped": True})
