"""The flags that name a subject, and the spec that they make."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.units import parse_duration

if TYPE_CHECKING:
    from argparse import _ArgumentGroup

    from leak_suite.subject import Spec

__all__ = [
    "add_command_flags",
    "add_subject_flags",
    "app_spec",
    "build_spec",
    "callable_spec",
    "command_spec",
    "parse_number",
    "validate_target",
]


def add_subject_flags(parser: ArgumentParser) -> None:
    """Add the flags that name one subject, and those that only some kinds have."""
    group = parser.add_argument_group("subject (one of these)")
    group.add_argument("target", nargs="?", help="package.module:callable or file.py:callable")
    group.add_argument("--app", help="an ASGI app, module:app or file.py:app, run by uvicorn")
    group.add_argument("--url", help="a health endpoint that answers JSON; needs --metric")
    group.add_argument(
        "--pid", type=int, help="a running process; from Python 3.14 on the agent goes into it"
    )
    group.add_argument("--workload", help="what drives it: module:callable or file.py:callable")
    add_command_flags(group)
    group.add_argument("--metric", metavar="JSONPATH", help="where in the JSON the number is")


def add_command_flags(group: _ArgumentGroup) -> None:
    """Add the flags of a command, and of requests to it."""
    group.add_argument(
        "--ready-when", metavar="TEXT", help="the command is ready when its output has this text"
    )
    group.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        help="a variable for the command; may be repeated",
    )
    group.add_argument("--cwd", metavar="DIR", type=Path, help="the command's working directory")
    group.add_argument(
        "--request-timeout", metavar="S", help="how long a request of the workload may take (30)"
    )


def build_spec(arguments: Namespace, python: Path | None) -> Spec:
    """The spec of the one subject that is given; `python` is the interpreter that it runs in.

    Raises:
        ConfigurationError: none or several are given, or a flag that one needs is missing.
        SubjectError: there is no process with that pid.
    """
    flags = {"TARGET": arguments.target, "--app": arguments.app, "--url": arguments.url}
    flags |= {"--pid": arguments.pid, "-- COMMAND": arguments.argv or None}
    given = [flag for flag, value in flags.items() if value is not None]
    if len(given) != 1:
        raise ConfigurationError(
            f"give one subject out of {', '.join(flags)}; "
            + (f"given were {' and '.join(given)}" if given else "none was given")
        )
    return _BUILDERS[given[0]](arguments, python)


def callable_spec(arguments: Namespace, python: Path | None) -> Spec:
    """The spec of TARGET, a callable that is its own workload."""
    from leak_suite.subject import CallableSpec

    if arguments.workload is not None:
        raise ConfigurationError("a TARGET is its own workload; leave --workload out")
    return CallableSpec(validate_target(arguments.target, "TARGET"), python)


def app_spec(arguments: Namespace, python: Path | None) -> Spec:
    """The spec of --app with its --workload."""
    from leak_suite.subject import AppSpec

    app = validate_target(arguments.app, "--app")
    workload = _required_workload(arguments, "--app")
    return AppSpec(app, workload, python, _request_seconds(arguments))


def command_spec(arguments: Namespace, _: Path | None = None) -> Spec:
    """The spec of a command after `--`, with its --workload if it has one."""
    from leak_suite.subject import CommandSpec

    return CommandSpec(
        arguments.argv,
        _workload(arguments),
        ready_when=getattr(arguments, "ready_when", None) or "",
        environment=tuple(_variable(text) for text in getattr(arguments, "env", None) or ()),
        folder=_folder(getattr(arguments, "cwd", None)),
        request_seconds=_request_seconds(arguments),
    )


def _pid_spec(arguments: Namespace, _: Path | None) -> Spec:
    from leak_suite.subject import PidSpec

    if not _is_alive(arguments.pid):
        raise SubjectError(f"--pid: there is no process {arguments.pid}")
    workload, seconds = _workload(arguments), _request_seconds(arguments)
    return PidSpec(arguments.pid, workload, request_seconds=seconds)


def _url_spec(arguments: Namespace, _: Path | None) -> Spec:
    from leak_suite.subject import UrlSpec

    if arguments.metric is None:
        raise ConfigurationError("--url needs --metric, the path of a number in its JSON")
    workload, seconds = _workload(arguments), _request_seconds(arguments)
    return UrlSpec(arguments.url, arguments.metric, workload, seconds)


_BUILDERS: Mapping[str, Callable[[Namespace, Path | None], Spec]] = {
    "TARGET": callable_spec,
    "--app": app_spec,
    "--url": _url_spec,
    "--pid": _pid_spec,
    "-- COMMAND": command_spec,
}


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigurationError(f"--env: write NAME=VALUE, not {text!r}")
    return name, value


def _folder(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise ConfigurationError(f"--cwd: there is no folder {path}")
    return path


def _request_seconds(arguments: Namespace) -> float:
    from leak_suite.subject import Spec

    text = getattr(arguments, "request_timeout", None)
    if text is None:
        return Spec.request_seconds
    return parse_number("--request-timeout", parse_duration, text)


def _required_workload(arguments: Namespace, subject: str) -> str:
    workload = _workload(arguments)
    if workload is None:
        raise ConfigurationError(f"{subject} needs --workload module:callable to drive it")
    return workload


def _workload(arguments: Namespace) -> str | None:
    if arguments.workload is None:
        return None
    return validate_target(arguments.workload, "--workload")


def validate_target(target: str, flag: str) -> str:
    """`target` itself; ConfigurationError, naming `flag`, if it is not module:name or file.py:name.

    A file must exist. A module is looked for by the subject, in its own interpreter.
    """
    module, _, name = target.rpartition(":")
    if not module or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(
            f"{flag}: {target!r} must be written package.module:name or path/file.py:name"
        )
    if module.endswith(".py") and not Path(module).is_file():
        raise ConfigurationError(f"{flag}: there is no file {module}")
    return target


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return pid > 0


def parse_number(flag: str, parse: Callable[[object], float], text: str) -> float:
    """`parse(text)`, where its ValueError becomes a ConfigurationError that names the flag."""
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{flag}: {error}") from error
