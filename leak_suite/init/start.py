"""Look at a project, and write what a first run of it needs; nothing is ever overwritten."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leak_suite.errors import ConfigurationError
from leak_suite.init.find import AppLocation, find_apps
from leak_suite.init.plan import Project, StarterFiles, plan_for
from leak_suite.init.project import described
from leak_suite.init.texts import TEST, WORKLOAD, configuration
from leak_suite.subject.specs import AppSpec, CommandSpec

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[import-not-found,no-redef,unused-ignore]

__all__ = ["Started", "start"]

_SERVED_BY_AGENT = ("FastAPI", "Starlette")


@dataclass(frozen=True)
class Started:
    """What was found and written, notes on it, and the command to run next."""

    app: str
    framework: str
    others: tuple[str, ...]
    written: tuple[str, ...]
    notes: tuple[str, ...]
    command: str


def start(root: Path, *, app: str | None = None, python: Path | None = None) -> Started:
    """Write the workload, the test and the configuration of the application in `root`."""
    taken = [name for name in (WORKLOAD, TEST) if (root / name).exists()]
    if taken:
        raise ConfigurationError(
            f"{' and '.join(taken)} exist already, and nothing is overwritten: "
            "move them away, or go on with them"
        )
    project, others = _project(root, app, python)
    plan = plan_for(project)
    # A command names its interpreter itself.
    named = python is not None and isinstance(plan.spec, AppSpec)
    files = {WORKLOAD: plan.workload, TEST: plan.test}
    configured, note = _configure(
        root / "pyproject.toml", configuration(str(python) if named else None)
    )
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return Started(
        str(project.folder / project.app),
        project.framework,
        others,
        (*files, *configured),
        (*plan.notes, *note),
        _next_command(plan, configured=bool(configured)),
    )


def _next_command(plan: StarterFiles, *, configured: bool) -> str:
    spec = plan.spec
    if isinstance(spec, CommandSpec):
        words, argv = spec.command(), ["--", *spec.argv]
        words = [*words[: -len(argv)], "-o", "run.json", *argv]
    else:
        words = spec.command()
        python = words.index("--python") if "--python" in words else len(words)
        words = [*words[:python], "-o", "run.json", *([] if configured else words[python:])]
    return shlex.join(["leak-suite", "run", *words])


def _project(root: Path, app: str | None, python: Path | None) -> tuple[Project, tuple[str, ...]]:
    """The application that is named or likeliest, loaded; and the others that were found."""
    if app is not None:
        return _loaded(root, _named(root, app), python, app), ()
    places = find_apps(root)
    if not places:
        raise ConfigurationError(
            "no application of FastAPI, Starlette, Flask, Django or Celery was found here: start "
            "this in the project's folder, or name it as --app package.module:app"
        )
    others = tuple(f"{place.file}:{place.name} ({place.framework})" for place in places[1:])
    return _loaded(root, places[0], python), others


def _named(root: Path, app: str) -> AppLocation:
    """The place of an application that the user names, by file or by module."""
    module, _, name = app.rpartition(":")
    file = Path(module) if module.endswith(".py") else Path(*module.split(".")).with_suffix(".py")
    known = {(place.file, place.name): place for place in find_apps(root)}
    return known.get((file, name), AppLocation(file, name, 0, ""))


def _loaded(root: Path, place: AppLocation, python: Path | None, typed: str = "") -> Project:
    """The first spelling of its name that can be imported; the error of the last otherwise."""
    if typed and place.framework in (*_SERVED_BY_AGENT, ""):
        spellings = [(Path(), typed)]
    elif place.framework in _SERVED_BY_AGENT:
        spellings = [(Path(), name) for name in _spellings(place)]
    else:
        spellings = list(_in_folders(root, place))
    *first, last = spellings
    for folder, name in first:
        with suppress(ConfigurationError):
            return Project(name, root, folder, described(name, root / folder, python), python)
    folder, name = last
    facts = described(name, root / folder, python)
    if facts["framework"] not in _SERVED_BY_AGENT and place.file.name in name:
        # A server is given a module, not a file.
        folder, name = place.file.parent, f"{place.file.stem}:{place.name}"
    return Project(name, root, folder, facts, python)


def _spellings(place: AppLocation) -> list[str]:
    """As a module where it can be one, since its neighbours may be imported by package; as a file.

    A file at the top is named as one: that works from any folder on the path.
    """
    file = f"{place.file.as_posix()}:{place.name}"
    parts = _module(place.file)
    modules = [".".join(parts)]
    if len(parts) > 1 and parts[0] == "src":
        modules.insert(0, ".".join(parts[1:]))
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        return [file]
    return [*(f"{module}:{place.name}" for module in modules), file]


def _in_folders(root: Path, place: AppLocation) -> Iterator[tuple[Path, str]]:
    """(folder, module) from which a server's command could import it, the likeliest first."""
    folders = [*place.file.parents][::-1]
    folders.sort(key=lambda one: not ((root / one / "manage.py").exists() or one == Path("src")))
    for folder in folders:
        parts = _module(place.file.relative_to(folder))
        if parts and all(part.isidentifier() for part in parts):
            yield folder, f"{'.'.join(parts)}:{place.name}"


def _module(file: Path) -> tuple[str, ...]:
    parts = file.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _configure(file: Path, table: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(files written, notes): the table goes to the end of a pyproject.toml that lacks it."""
    if not file.exists():
        return (), (f"there is no pyproject.toml; this would go into it:\n\n{table}",)
    text = file.read_text(encoding="utf-8")
    try:
        configured = "leak_suite" in tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file.name} cannot be read: {error}") from error
    if configured:
        return (), (f"{file.name} has a table [tool.leak_suite] already; it stays as it is",)
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    file.write_text(text + gap + table, encoding="utf-8")
    return (f"{file.name} [tool.leak_suite]",), ()
