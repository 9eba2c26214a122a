"""Where a project makes its application, read from its source without running it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MAKERS", "AppLocation", "find_apps"]

MAKERS = {
    "FastAPI": "FastAPI",
    "Starlette": "Starlette",
    "Flask": "Flask",
    "get_wsgi_application": "Django",
    "get_asgi_application": "Django",
    "Celery": "Celery",
}
"""What makes an application, and of which framework."""
_SKIPPED = frozenset(
    {"node_modules", "site-packages", "build", "dist", "test", "tests", "docs", "__pycache__"}
)
_USUAL = ("main.py", "app.py", "wsgi.py", "asgi.py", "server.py", "api.py", "__init__.py")
_NAMES = ("app", "application")
_FACTORIES = ("create_app()", "make_app()")


@dataclass(frozen=True)
class AppLocation:
    """A module-level name that holds an application; "create_app()" for a function that makes one.

    `framework` is one of those in MAKERS.
    """

    file: Path
    name: str
    line: int
    framework: str = "FastAPI"


def find_apps(root: Path) -> list[AppLocation]:
    """The applications under `root`, the likeliest one first; those of Celery after all others.

    `app = FastAPI(...)` counts, and `app = create_app(...)` where such a function of the project
    makes one. A Flask application may also be made by a `create_app()` that nobody calls here.
    """
    trees = dict(_sources(root))
    factories = {name: made for tree in trees.values() for name, made, _, _ in _factories(tree)}
    found = [
        AppLocation(file.relative_to(root), name, line, framework)
        for file, tree in trees.items()
        for name, line, framework in _made(tree, {**MAKERS, **factories})
    ]
    if not any(place.framework == "Flask" for place in found):
        found += [
            AppLocation(file.relative_to(root), f"{name}()", line, framework)
            for file, tree in trees.items()
            for name, framework, line, callable_alone in _factories(tree)
            if framework == "Flask" and callable_alone
        ]
    return sorted(found, key=_unlikely)


def _unlikely(place: AppLocation) -> tuple[bool, bool, int, int, str]:
    usual = _USUAL.index(place.file.name) if place.file.name in _USUAL else len(_USUAL)
    known = place.name in (*_NAMES, *_FACTORIES)
    celery = place.framework == "Celery"
    return (celery, not known, usual, len(place.file.parts), str(place.file))


def _sources(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(".py") and not name.startswith("test_"):
                text = (here / name).read_text(encoding="utf-8", errors="replace")
                try:
                    yield here / name, ast.parse(text)
                except (SyntaxError, ValueError):  # not ours to complain about
                    continue


def _called(node: ast.AST | None) -> str:
    """The last part of the name that is called: "FastAPI" of `fastapi.FastAPI()`."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _factories(tree: ast.Module) -> Iterator[tuple[str, str, int, bool]]:
    """(name, framework, line, whether it can be called without arguments) of each."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        made = next(
            (MAKERS[one] for part in ast.walk(node) if (one := _called(part)) in MAKERS), ""
        )
        if made:
            given = node.args
            required = len(given.posonlyargs) + len(given.args) - len(given.defaults)
            alone = not required and all(default is not None for default in given.kw_defaults)
            yield node.name, made, node.lineno, alone


def _made(tree: ast.Module, makers: dict[str, str]) -> Iterator[tuple[str, int, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign):
            targets, value = [node.target], node.value  # type: ignore[assignment]
        else:
            continue
        framework = makers.get(_called(value))
        if framework:
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            yield from ((name, node.lineno, framework) for name in names)
