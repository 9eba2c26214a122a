"""A class name means one thing in the product, and no modules import each other in a circle."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.packaging.imports import ROOT, imports_of, product_files

# Programs that are measured: each runs alone, in a process and a folder of its own.
SUBJECTS = (
    "benchmarks/catalogue/web/",
    "benchmarks/catalogue/workers/",
    "benchmarks/leakbench/cases/",
    "benchmarks/field/workloads/",
)


def test_no_class_name_is_defined_twice() -> None:
    places = defaultdict(list)
    for path in product_files():
        file = path.relative_to(ROOT).as_posix()
        if not file.startswith(SUBJECTS):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(f"{file}:{node.lineno}")
    assert len(places) > 200, "the search does not see the product"
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Late imports count, those for type checkers do not: they do not happen."""
    imports = imports_of()
    assert len(imports) > 250, "the graph does not hold the product"
    assert sum(map(len, imports.values())) > 800, "the graph does not hold the imports"
    assert _circles(imports) == []


def _circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(imports[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            start = stack.index(name)
            component, stack[start:] = stack[start:], []
            if len(component) > 1:
                found.append(sorted(component))

    for name in sorted(imports):
        if name not in index:
            visit(name)
    return found
