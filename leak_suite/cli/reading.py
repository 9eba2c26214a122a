"""Reading flags: the subject that they name, and numbers with units; refused in a sentence."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.subject import AppSpec, CallableSpec, CommandSpec, PidSpec, Spec, UrlSpec
from leak_suite.units import parse_duration

__all__ = ["app_spec", "callable_spec", "command_spec", "named", "parsed", "spec_of"]


def spec_of(arguments: Namespace, python: Path | None) -> Spec:
    """The one subject that is given, of any kind; `python` is the interpreter it runs in."""
    kinds = {"TARGET": arguments.target, "--app": arguments.app, "--url": arguments.url}
    kinds |= {"--pid": arguments.pid, "-- COMMAND": arguments.argv or None}
    given = [name for name, value in kinds.items() if value is not None]
    if len(given) != 1:
        raise ConfigurationError(
            f"give one subject out of {', '.join(kinds)}; "
            + (f"given were {' and '.join(given)}" if given else "none was given")
        )
    return _SPECS[given[0]](arguments, python)


def callable_spec(arguments: Namespace, python: Path | None) -> CallableSpec:
    """The subject that TARGET names."""
    if arguments.workload is not None:
        raise ConfigurationError("a TARGET is its own workload; leave --workload out")
    return CallableSpec(named(arguments.target, "TARGET"), python)


def app_spec(arguments: Namespace, python: Path | None) -> AppSpec:
    """The subject that --app names, with what drives it."""
    return AppSpec(
        named(arguments.app, "--app"),
        _needed_workload(arguments, "--app"),
        python,
        _request_seconds(arguments),
    )


def command_spec(arguments: Namespace, _: Path | None = None) -> CommandSpec:
    """The subject that a command after `--` starts, with what drives it."""
    return CommandSpec(
        arguments.argv,
        _workload(arguments),
        ready_when=getattr(arguments, "ready_when", None) or "",
        environment=tuple(_variable(text) for text in getattr(arguments, "env", None) or ()),
        folder=_folder(getattr(arguments, "cwd", None)),
        request_seconds=_request_seconds(arguments),
    )


def _pid_spec(arguments: Namespace, _: Path | None) -> PidSpec:
    if not _alive(arguments.pid):
        raise SubjectError(f"--pid: there is no process {arguments.pid}")
    return PidSpec(arguments.pid, _workload(arguments))


def _url_spec(arguments: Namespace, _: Path | None) -> UrlSpec:
    if arguments.metric is None:
        raise ConfigurationError("--url needs --metric, the path of a number in its JSON")
    return UrlSpec(arguments.url, arguments.metric, _workload(arguments))


_SPECS: dict[str, Callable[[Namespace, Path | None], Spec]] = {
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
    text = getattr(arguments, "request_timeout", None)
    if text is None:
        return CommandSpec.request_seconds
    return parsed("--request-timeout", parse_duration, text)


def _needed_workload(arguments: Namespace, subject: str) -> str:
    workload = _workload(arguments)
    if workload is None:
        raise ConfigurationError(f"{subject} needs --workload module:callable to drive it")
    return workload


def _workload(arguments: Namespace) -> str | None:
    return None if arguments.workload is None else named(arguments.workload, "--workload")


def named(target: str, what: str) -> str:
    """`target` itself, if it is written as one must be."""
    place, _, name = target.rpartition(":")
    if not place or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(
            f"{what}: {target!r} must be written package.module:name or path/file.py:name"
        )
    if place.endswith(".py") and not Path(place).is_file():
        raise ConfigurationError(f"{what}: there is no file {place}")
    return target


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return pid > 0


def parsed(flag: str, parse: Callable[[object], float], text: str) -> float:
    """The number that `text` stands for."""
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{flag}: {error}") from error
