"""Makes docs/api.md and the tables of docs/reference.md: `python -m tests.docs.reference_page`."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import leak_suite
from fixtures.defects.catalogue import DEFECTS
from leak_suite.cli.parser import build_parser
from leak_suite.metrics import METRICS
from leak_suite.options import Options
from leak_suite.pytest_plugin.options import OPTIONS as PYTEST_OPTIONS
from reference_app.settings import Settings

__all__ = ["API_PAGE", "PAGE", "api", "filled", "parsers"]

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
API_PAGE = PAGE.with_name("api.md")


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
    return _table(("metric", "unit", "judged", "read from", "what it counts", "cannot see"), rows)


def _settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        kind = getattr(field.annotation, "__name__", "")
        choices = getattr(field.annotation, "__args__", ())
        if any(isinstance(choice, type) for choice in choices):  # a type, or nothing at all
            kind, choices = choices[0].__name__, ()
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


def api() -> str:
    """The page of the public names: signature, docstring, fields, properties and methods."""
    parts = ["# The API", "Made from the docstrings of what `leak_suite` exports."]
    for name in leak_suite.__all__:
        parts += _described(name, getattr(leak_suite, name), "##")
    return "\n\n".join(parts) + "\n"


def _described(name: str, thing: Any, heading: str) -> list[str]:
    parts = [f"{heading} `{name}`"]
    is_enum = isinstance(thing, type) and issubclass(thing, Enum)
    made_by_c = isinstance(thing, type) and not inspect.isfunction(thing.__init__)
    if callable(thing) and not is_enum and not made_by_c:
        parts.append(f"```python\n{_signature(name, thing)}\n```")
    parts.append(_prose(inspect.getdoc(thing) or ""))
    if is_enum:
        parts.append(_table(("name", "value"), [(f"`{m.name}`", f"`{m.value}`") for m in thing]))
    if (isinstance(thing, type) and is_dataclass(thing)) or is_enum:
        for member, value in vars(thing).items():
            if member.startswith("_") or not _is_documented(value):
                continue
            function = getattr(thing, member) if not isinstance(value, property) else value
            parts += _described(f"{name}.{member}", function, "###")
    return parts


def _is_documented(value: Any) -> bool:
    return isinstance(value, (property, classmethod)) or inspect.isfunction(value)


def _signature(name: str, thing: Any) -> str:
    """One parameter a line; without the module names that annotations may have."""
    signature = inspect.signature(thing)
    lines = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "    *," not in lines:
            lines.append("    *,")
        if parameter.name not in ("self", "cls"):
            lines.append(f"    {_shown(parameter)},")
    returns = signature.return_annotation
    arrow = "" if returns in (inspect.Signature.empty, None) else f" -> {returns}"
    body = "\n".join(["(", *lines, ")"]) if lines else "()"
    return f"{name}{body}{arrow if not isinstance(thing, type) else ''}"


def _shown(parameter: inspect.Parameter) -> str:
    text = parameter.name
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {parameter.annotation}"
    if parameter.default is not inspect.Parameter.empty:
        default = _default(parameter.default)
        text += f" = {default}"
    return text


def _default(value: Any) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    return "..." if "factory" in repr(value) else repr(value)


def _prose(docstring: str) -> str:
    """A docstring as Markdown: the errors of a `Raises:` section become a list."""
    before, raises, after = docstring.partition("Raises:")
    if not raises:
        return docstring
    errors = [line.strip() for line in after.strip().splitlines()]
    items = [re.sub(r"^(\w+): ", r"`\1`: ", line) for line in errors]
    return before + "Raises:\n\n" + "\n".join(f"- {item}" for item in items)


if __name__ == "__main__":
    API_PAGE.write_text(api(), encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
