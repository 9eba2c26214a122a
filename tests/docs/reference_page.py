"""Makes the tables of docs/reference.md from the code: `python -m tests.docs.reference_page`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from fixtures.defects.catalogue import DEFECTS
from leak_suite.cli.parser import build_parser
from leak_suite.metrics import METRICS
from leak_suite.options import Options
from leak_suite.pytest_plugin.options import OPTIONS as PYTEST_OPTIONS
from reference_app.settings import Settings

__all__ = ["PAGE", "filled", "parsers"]

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def parsers(
    parser: argparse.ArgumentParser | None = None,
) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """(name, parser, help) of every command, those of commands of commands too."""
    for action in (parser or build_parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, found in action.choices.items():
                yield found.prog, found, helps.get(name, "")
                yield from parsers(found)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _commands() -> str:
    parts = []
    for prog, parser, said in parsers():
        arguments = [a for a in parser._actions if a.dest != "help"]
        if any(isinstance(a, argparse._SubParsersAction) for a in arguments):
            continue
        rows = [(_spelled(a), (a.help or "") % vars(a)) for a in arguments]
        parts.append(f"### `{prog}`\n\n{said}.\n\n" + _table(("option", ""), rows))
    return "\n\n".join(parts)


def _spelled(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{str(action.metavar or action.dest).upper()}`"
    value = ""
    if action.nargs != 0:
        if action.choices is not None:
            value = " {" + ",".join(map(str, action.choices)) + "}"
        else:
            shown = action.metavar or action.dest.upper()
            value = " " + (shown if isinstance(shown, str) else " ".join(shown))
    return ", ".join(f"`{flag}{value}`" for flag in action.option_strings)


def _options() -> str:
    rows = []
    for item in fields(Options):
        default = getattr(Options(), item.name)
        shown = "none" if default in (None, (), {}) else f"`{default}`"
        rows.append(
            (f"`{item.name}`", shown, f"`leak_{item.name}`" if item.name in PYTEST_OPTIONS else "")
        )
    return _table(("option", "default", "pytest ini"), rows)


def _probes() -> str:
    rows = [
        (
            f"`{probe.name}`",
            probe.unit,
            "exactly" if probe.exact else f"as a trend, from {probe.min_rate:g} an iteration",
            " and ".join(
                word
                for word, seen in (("inside", probe.inside), ("outside", probe.outside))
                if seen
            ),
            probe.description,
            probe.blind_to,
        )
        for probe in METRICS.values()
    ]
    return _table(("metric", "unit", "judged", "seen from", "what it counts", "cannot see"), rows)


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        kind = getattr(field.annotation, "__name__", "")
        choices = getattr(field.annotation, "__args__", ())
        default = "a folder on a disk" if field.default_factory else f"`{field.default}`"
        rows.append((f"`{name.upper()}`", ", ".join(f"`{c}`" for c in choices) or kind, default))
    return _table(("variable", "value", "default"), rows)


def _defects() -> str:
    rows = [
        (f"`{name}`", defect.description, f"`{defect.metric or defect.invariant}`")
        for name, defect in DEFECTS.items()
    ]
    return _table(("defect", "what is wrong", "what must be found"), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": _commands,
    "options": _options,
    "probes": _probes,
    "settings": _settings,
    "defects": _defects,
}


def filled(text: str) -> str:
    """The page with every part between its two marks made anew."""
    for name, make in PARTS.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"the page has no marks for {name}")
        made = f"{begin}\n{make()}\n{end}"
        text = pattern.sub(lambda _, made=made: made, text)
    return text


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
