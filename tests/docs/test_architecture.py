"""The pictures of the repository are true to its imports, and what the docs place is there."""

from __future__ import annotations

import ast
import configparser
import re
from collections import Counter

import pytest

from tests.packaging.imports import PACKAGES, ROOT, imports_of

HOW = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
WHERE = (ROOT / "docs/where-things-are.md").read_text(encoding="utf-8")
REPOSITORY, HARNESS, ARROWS = re.findall(r"```text\n(.*?)```", HOW, flags=re.S)
CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(ROOT / ".importlinter", encoding="utf-8")


def layers(picture: str) -> list[set[str]]:
    """The packages of each line; what stands after two spaces is said of them."""
    return [set(re.split(r"\s\|\s", line.split("  ")[0].strip())) for line in picture.splitlines()]


def contract(name: str) -> list[set[str]]:
    text = CONTRACTS[f"importlinter:contract:{name}"]["layers"]
    return [set(re.split(r"\s*\|\s*", line)) for line in text.strip().splitlines()]


def package_imports() -> dict[str, set[str]]:
    """Package -> packages it imports; those of `leak_suite` by their names inside it."""
    found: dict[str, set[str]] = {}
    for module, imported in imports_of().items():
        places = found.setdefault(_package(module), set())
        places.update(_package(name) for name in imported)
        places.discard(_package(module))
    return found


def _package(module: str) -> str:
    head, *rest = module.split(".")
    return rest[0] if head == "leak_suite" and rest else head


def test_the_picture_of_the_repository_is_its_import_contract() -> None:
    assert layers(REPOSITORY) == contract("repository")
    assert set.union(*layers(REPOSITORY)) == set(PACKAGES)


def test_the_picture_of_the_harness_is_its_import_contract() -> None:
    assert layers(HARNESS) == contract("harness")
    there = {path.stem for path in (ROOT / "leak_suite").iterdir() if _is_code(path.name)}
    assert set.union(*layers(HARNESS)) == there


def _is_code(name: str) -> bool:
    folder = ROOT / "leak_suite" / name
    is_package = folder.is_dir() and any(folder.glob("*.py"))
    return is_package or (name.endswith(".py") and not name.startswith("__"))


@pytest.mark.parametrize("picture", [REPOSITORY, HARNESS], ids=["repository", "harness"])
def test_every_import_goes_down_in_the_pictures(picture: str) -> None:
    height = {name: -i for i, line in enumerate(layers(picture)) for name in line}
    upward = [
        (importer, imported)
        for importer, several in package_imports().items()
        for imported in several
        if importer in height and imported in height and height[imported] >= height[importer]
    ]
    assert upward == []


def test_a_full_arrow_is_an_import_and_a_dotted_one_is_none() -> None:
    imports = package_imports()
    full, dotted = set(), set()
    for line in ARROWS.splitlines():
        names = re.split(r"\s[→⇢]\s", line)
        for a, sign, b in zip(names, re.findall("[→⇢]", line), names[1:], strict=False):
            (full if sign == "→" else dotted).add((a, b))
    assert len(full) >= 8
    assert dotted
    assert [(a, b) for a, b in full if b not in imports[a]] == []
    assert [(a, b) for a, b in dotted if b in imports[a]] == []
    assert {b for _, b in dotted} <= set.union(*layers(HARNESS))


PLACES = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| `([^`]+)` \|$", WHERE, flags=re.M)


def test_ten_things_are_placed() -> None:
    assert len(PLACES) == 10


@pytest.mark.parametrize(("file", "name"), [p[1:] for p in PLACES], ids=[p[0] for p in PLACES])
def test_what_is_placed_is_defined_there(file: str, name: str) -> None:
    scope: ast.AST = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for part in name.split("."):
        found = [
            node
            for node in ast.iter_child_nodes(scope)
            if isinstance(node, kinds) and node.name == part
        ]
        assert found, f"{file} defines no {name}"
        scope = found[0]


MOST_FILES = {
    "metric": 3,
    "kind of subject": 4,
    "renderer": 2,
    "load scenario": 2,
    "pipeline stage": 4,
    "planted defect": 2,
}


def test_a_change_touches_few_files_and_they_are_there() -> None:
    rows = re.findall(r"^\| ([^|]+) \| `([^`]+)`[^|]* \|[^|]+\|$", WHERE, flags=re.M)
    changes = [(change, file) for change, file in rows if change in MOST_FILES]
    assert Counter(change for change, _ in changes) == MOST_FILES
    for _, file in changes:
        path = ROOT / file
        assert path.parent.is_dir() if path.stem == "NEW" else path.is_file(), file


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`((?:\w+/)+\w+\.py)`", HOW))))
def test_a_file_that_is_named_exists(file: str) -> None:
    assert (ROOT / file).is_file() or (ROOT / "leak_suite" / file).is_file()


def test_the_glossary_is_in_order_and_has_each_word_once() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| ([^|]+) \|", text, flags=re.M)[2:]
    assert len(words) > 40
    assert words == sorted(set(words), key=str.lower)
