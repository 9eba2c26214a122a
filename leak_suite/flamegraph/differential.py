"""The page of a difference: sites that grew as a table, and a flamegraph coloured by growth."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from leak_suite.flamegraph.stacks import Difference, GraphFrame, LineBytes

__all__ = ["differential_page"]

_TEMPLATE = Path(__file__).with_name("differential.html")
_LEAST_SHARE = 0.001
_MOST_NODES = 1200
_LONGEST_NAME = 100
_DIGITS = 4


@dataclass
class _Node:
    """A call, with what all stacks through it hold. `changed` adds up without regard to sign."""

    frame: GraphFrame | None = None
    base: float = 0.0
    head: float = 0.0
    changed: float = 0.0
    children: dict[tuple[str, str], _Node] = field(default_factory=dict)

    def add(self, base: float, head: float) -> None:
        self.base += base
        self.head += head
        self.changed += abs(head - base)


def differential_page(difference: Difference) -> str:
    """One file that asks nothing of the network; some hundred KiB at most."""
    root = _tree(difference)
    rows = "".join(_row(place) for place in difference.grown())
    none = '<tr><td colspan="3">no line holds more than before</td></tr>'
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(difference.title),
        unit=html.escape(difference.unit),
        rows=rows or none,
        # "</script>" in a name must not end the script.
        data=json.dumps(_data(root), ensure_ascii=True).replace("</", "<\\/"),
    )


def _tree(difference: Difference) -> _Node:
    root = _Node()
    for stack, (base, head) in difference.stacks.items():
        node = root
        node.add(base, head)
        for frame in stack:
            node = node.children.setdefault(frame.key, _Node(frame))
            node.add(base, head)
    return root


def _data(root: _Node) -> list[Any]:
    """Nested lists: name, place, base, head, changed, children. What is too small is left out."""
    whole, changed = max(root.base, root.head), root.changed
    nodes: list[_Node] = []
    _collect(root, nodes)
    nodes.sort(key=lambda node: -_weight(node, whole, changed))
    kept = {
        id(node) for node in nodes[:_MOST_NODES] if _weight(node, whole, changed) >= _LEAST_SHARE
    }
    return _listed(root, kept)


def _collect(root: _Node, nodes: list[_Node]) -> None:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += node.children.values()


def _weight(node: _Node, whole: float, changed: float) -> float:
    """Its share of everything or of what changed; a caller's is never less than a callee's."""
    share = max(node.base, node.head) / whole if whole else 0.0
    return max(share, node.changed / changed if changed else 0.0)


def _listed(node: _Node, kept: set[int]) -> list[Any]:
    frame = node.frame
    name = frame.function if frame else "all"
    place = frame.place if frame else ""
    children = [_listed(child, kept) for child in node.children.values() if id(child) in kept]
    numbers = [float(f"{n:.{_DIGITS}g}") for n in (node.base, node.head, node.changed)]
    return [name[:_LONGEST_NAME], place[-_LONGEST_NAME:], *numbers, children]


def _row(place: LineBytes) -> str:
    frame = place.frame
    own = "" if frame.own else " class=library"
    return (
        f"<tr{own}><td>+{place.bytes:,.1f}</td><td>{html.escape(frame.function)}</td>"
        f"<td><code>{html.escape(frame.place)}</code></td></tr>"
    )
