"""PyYAML: a document is dumped and loaded; a broken one is refused."""

import contextlib

import yaml

DOCUMENT = {"shop": [{"name": f"item {n}", "price": n / 3, "tags": ["a", "b"]} for n in range(10)]}


def job() -> None:
    """One document's life, with each of the two loaders."""
    text = yaml.safe_dump(DOCUMENT)
    assert yaml.safe_load(text) == DOCUMENT
    if hasattr(yaml, "CSafeLoader"):
        assert yaml.load(text, Loader=yaml.CSafeLoader) == DOCUMENT
    with contextlib.suppress(yaml.YAMLError):
        yaml.safe_load("a: [1, 2")
