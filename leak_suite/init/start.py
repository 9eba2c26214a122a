"""Look at a project, and write what a first run of it needs; nothing is ever overwritten."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leak_suite.errors import ConfigurationError
from leak_suite.init.find import AppLocation, find_apps
from leak_suite.init.routes import described, safe_routes
from leak_suite.init.texts import TEST, WORKLOAD, configuration, leak_test, workload

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[import-not-found,no-redef,unused-ignore]

__all__ = ["Started", "start"]


@dataclass(frozen=True)
class Started:
    """What was found and written, notes on it, and the command to run next."""

    app: str
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
    chosen, others, description = _application(root, app, python)
    routes = safe_routes(description)
    table = configuration(None if python is None else str(python))
    notes = [] if routes.plain or routes.made_up else [f"no route could be called: see {WORKLOAD}"]
    files = {WORKLOAD: workload(chosen, routes), TEST: leak_test(chosen)}
    configured, note = _configure(root / "pyproject.toml", table)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return Started(
        chosen,
        others,
        (*files, *configured),
        (*notes, *note),
        f"leak-suite run --app {chosen} --workload {WORKLOAD}:visit -o run.json"
        + (f" --python {python}" if python is not None and not configured else ""),
    )


def _application(
    root: Path, app: str | None, python: Path | None
) -> tuple[str, tuple[str, ...], dict[str, object]]:
    if app is not None:
        return app, (), described(app, root, python)
    places = find_apps(root)
    if not places:
        raise ConfigurationError(
            "no FastAPI application was found here: start this in the project's folder, "
            "or name it as --app package.module:app"
        )
    others = tuple(f"{place.file}:{place.name}" for place in places[1:])
    *modules, file = _spellings(places[0])
    for module in modules:
        with suppress(ConfigurationError):
            return module, others, described(module, root, python)
    return file, others, described(file, root, python)


def _spellings(place: AppLocation) -> list[str]:
    """As a module where it can be one, since its neighbours may be imported by package; as a file.

    A file at the top is named as one: that works from any folder on the path.
    """
    file = f"{place.file.as_posix()}:{place.name}"
    parts = place.file.with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    modules = [".".join(parts)]
    if len(parts) > 1 and parts[0] == "src":
        modules.insert(0, ".".join(parts[1:]))
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        return [file]
    return [*(f"{module}:{place.name}" for module in modules), file]


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
