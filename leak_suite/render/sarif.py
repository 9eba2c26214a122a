"""Renders a result as SARIF 2.1.0, which code scanning and editors read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from leak_suite import __version__
from leak_suite.compare import Comparison
from leak_suite.fit.result import FitResult
from leak_suite.places import Place
from leak_suite.render.document import Document
from leak_suite.render.problems import RULES, Judged, ReportedProblem, problems
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.render.summary import notes
from leak_suite.result import RunResult

__all__ = ["SarifRenderer"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT_ID = "%SRCROOT%"
"""What relative paths start from. Readers know it by this name, so no absolute path is written."""
_NO_LINE = "pyproject.toml"
"""Where a problem without a line is put: readers refuse a result that has no place."""
_RULE_IDS = tuple(RULES)


class SarifRenderer(Renderer):
    """One result a cause, its path relative to the repository; none where all is stable.

    The invocation says whether it could judge, so that no result is not taken for "clean".
    """

    name = "sarif"
    extension = ".sarif"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        status = result.outcome.status
        return _log(result, result.subject, status, settings, notes(result))

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        return _log(result, result.subject, result.outcome.status, settings)

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """See Renderer."""
        return _log(comparison, "comparison", comparison.status, settings)

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """See Renderer."""
        return _log(document, document.subject, document.outcome.status, settings)


def _log(
    result: Judged,
    subject: str,
    status: int,
    settings: RenderSettings,
    remarks: Iterable[str] = (),
) -> str:
    found = problems(result, settings.root)
    unjudged = [one for one in found if not one.is_failure]
    entries = [*(("error", one.message) for one in unjudged), *(("note", text) for text in remarks)]
    notifications = [{"level": level, "message": {"text": text}} for level, text in entries]
    run = {
        "tool": {
            "driver": {
                "name": "leak-suite",
                "version": __version__,
                "rules": [_rule(name, text) for name, text in RULES.items()],
            }
        },
        "automationDetails": {"id": f"leak-suite/{subject}/"},
        "originalUriBaseIds": {
            _ROOT_ID: {"description": {"text": "The folder of the repository."}}
        },
        "invocations": [
            {
                "executionSuccessful": status != 2,
                "exitCode": status,
                **({"toolExecutionNotifications": notifications} if notifications else {}),
            }
        ],
        "results": [_result(one, settings) for one in found],
        "columnKind": "unicodeCodePoints",
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(name: str, text: str) -> dict[str, Any]:
    level = "warning" if name == "inconclusive" else "error"
    help_text = (
        "Run the workload again with the report for people, `leak-suite run`, and look at the line "
        "that it names."
    )
    return {
        "id": name,
        "name": "".join(word.capitalize() for word in name.split("-")),
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": help_text},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["memory"], "precision": "high"},
    }


def _result(problem: ReportedProblem, settings: RenderSettings) -> dict[str, Any]:
    unknown = problem.place is None
    place = problem.place or Place(_file_of(problem.command, settings), 1)
    text = f"{problem.title}: {problem.message}"
    if unknown:
        text += f"\nNo line is known; {place.file} stands for the whole workload."
    stack = [{"location": _location(one)} for one in problem.stack]
    return {
        "ruleId": problem.rule,
        "ruleIndex": _RULE_IDS.index(problem.rule),
        "level": "error" if problem.is_failure else "warning",
        "message": {"text": text},
        "locations": [_location(place)],
        **({"stacks": [{"message": {"text": "made by"}, "frames": stack}]} if stack else {}),
        # GitHub knows a result again by this name only. Its line is not in it, so that an edit
        # above the leak does not make a new alert.
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(problem)},
        "properties": {"subject": problem.subject, "measures": list(problem.measures)},
    }


def _location(place: Place) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _artifact(place.file),
            "region": {"startLine": place.line},
        }
    }
    if place.function:
        location["logicalLocations"] = [{"name": place.function, "kind": "function"}]
    return location


def _artifact(file: str) -> Mapping[str, str]:
    """A relative path with what it starts from; a path outside as a whole URI."""
    path = PurePosixPath(file)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": _ROOT_ID}


def _file_of(command: Sequence[str], settings: RenderSettings) -> str:
    """The last file that a command names, alone or as `jobs.py:run`."""
    root = (settings.root or Path()).resolve()
    folder = (settings.folder or root).resolve()
    for word in reversed(command):
        file = word.partition(":")[0]
        if not file.endswith(".py"):
            continue
        path = (folder / file).resolve()
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return _NO_LINE


def _fingerprint(problem: ReportedProblem) -> str:
    place = problem.place or Place("", 0)
    facts = (problem.rule, problem.subject, problem.measures[:1], place.file, place.function)
    return f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}:1"
