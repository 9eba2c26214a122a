"""Which module of the product imports which, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "imports_of", "product_files"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("leak_suite", "reference_app", "fixtures", "load", "gate", "benchmarks")


def product_files() -> list[Path]:
    """Every Python file of the product's packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def imports_of() -> dict[str, set[str]]:
    """Module -> modules of the product that it imports, early or late, but for type checkers.

    `from package import name` is an import of the module `package.name` where there is one. The
    agent's `_leak_agent` is `leak_suite.agent` under the name that it has in a subject.
    """
    files = {_module(path): path for path in product_files()}
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {name for node in _executed(tree) for name in _imported(node, package, set(files))}
        found[module] = names - {module}
    return found


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, without what stands under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _executed(node)


def _imported(node: ast.AST, package: str, modules: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        wanted = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        if base.startswith("_leak_agent"):
            base = "leak_suite.agent" + base.removeprefix("_leak_agent")
        wanted = [
            f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base
            for alias in node.names
        ]
    else:
        return
    yield from (name for name in wanted if name in modules)
