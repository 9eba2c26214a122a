"""Where a project makes its FastAPI application, read from its source without running it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AppLocation", "find_apps"]

_SKIPPED = frozenset(
    {"node_modules", "site-packages", "build", "dist", "test", "tests", "docs", "__pycache__"}
)
_USUAL = ("main.py", "app.py", "asgi.py", "server.py", "api.py")


@dataclass(frozen=True)
class AppLocation:
    """A module-level name that holds an application."""

    file: Path
    name: str
    line: int


def find_apps(root: Path) -> list[AppLocation]:
    """The applications under `root`, the likeliest one first.

    `app = FastAPI(...)` counts, and `app = create_app(...)` where such a function of the project
    makes one.
    """
    trees = dict(_sources(root))
    factories = {name for tree in trees.values() for name in _factories(tree)}
    found = [
        AppLocation(file.relative_to(root), name, line)
        for file, tree in trees.items()
        for name, line in _made(tree, factories)
    ]
    return sorted(found, key=_unlikely)


def _unlikely(place: AppLocation) -> tuple[bool, int, int, str]:
    usual = _USUAL.index(place.file.name) if place.file.name in _USUAL else len(_USUAL)
    return (place.name != "app", usual, len(place.file.parts), str(place.file))


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


def _factories(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any(
            _called(part) == "FastAPI" for part in ast.walk(node)
        ):
            yield node.name


def _made(tree: ast.Module, factories: set[str]) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign):
            targets, value = [node.target], node.value  # type: ignore[assignment]
        else:
            continue
        if _called(value) in {"FastAPI", *factories}:
            yield from ((t.id, node.lineno) for t in targets if isinstance(t, ast.Name))
