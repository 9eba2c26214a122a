"""Whether a command line of the docs is one that its program takes: asked of each one's parser."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from configparser import ConfigParser

from benchmarks.__main__ import BENCHMARKS
from benchmarks.catalogue import command as catalogue
from benchmarks.evidence import __main__ as evidence
from benchmarks.evidence.studies import STUDIES
from benchmarks.field import command as field
from benchmarks.leakbench import command as leakbench
from benchmarks.remedies import __main__ as remedies
from fixtures.defects import __main__ as defects
from leak_suite.cli.parser import parse
from load import run as load
from reference_app import __main__ as reference_app
from tests.docs.blocks import ROOT

__all__ = ["environments", "inside", "understood"]

#: Programs that are not ours; their words are looked at where they name our files.
_FOREIGN = {"pip", "git", "docker", "cd", "mkdocs", "mypy", "ruff"}
#: Tests that `leak-suite init` writes into a reader's own project.
_WRITTEN = {"tests/test_leaks.py", "tests/test_leak_visit.py"}
#: What a reader puts in place of a word in capitals.
_FILLED = {"N": "2", "NAME": "clean"}


def _tox() -> ConfigParser:
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    return tox


def environments() -> set[str]:
    """The names of tox's environments, its factors multiplied out."""
    names = {name.partition(":")[2] for name in _tox().sections() if name.startswith("testenv:")}
    for name in tuple(names):
        if found := re.fullmatch(r"(\w*)\{([\w,]+)\}", name):
            names |= {found[1] + part for part in found[2].split(",")}
    return names


def inside(name: str, words: Sequence[str]) -> list[str]:
    """The command line that tox runs in this environment for these words after `--`."""
    assert name in environments(), f"tox has no environment {name}"
    section = f"testenv:{name}"
    if section not in _tox():  # one of several, made by factors
        section = next(one for one in _tox().sections() if re.search(rf"[{{,]{name}[,}}]", one))
    line = _tox()[section]["commands"].replace("{/}", "/").replace("{env_name}", name).strip()
    given = shlex.join(words)
    return shlex.split(re.sub(r"\{posargs(?::(.*?))?\}", lambda it: given or it[1] or "", line))


def _evidence(words: Sequence[str]) -> None:
    assert set(evidence._parser().parse_args(words).study) <= set(STUDIES)


def _soak(words: Sequence[str]) -> None:
    hours = () if not words or words[0].startswith("-") else (float(words[0]),)
    parse(["run", "job.py:job", *words[len(hours) :]])


_MODULES: dict[str, Callable[[Sequence[str]], object]] = {
    "load": lambda words: load._parser().parse_args(words),
    "fixtures.defects": lambda words: defects._parser().parse_args(words),
    "benchmarks.catalogue": lambda words: catalogue._parser().parse_args(words),
    "benchmarks.leakbench": lambda words: leakbench._parser().parse_args(words),
    "benchmarks.evidence": _evidence,
    "benchmarks.field": lambda words: field.parser().parse_args(words),
    "benchmarks.remedies": lambda words: remedies._parser().parse_args(words),
    "benchmarks": lambda words: understood(["python", "-m", BENCHMARKS[words[0]][0], *words[1:]]),
    "gate.soak": _soak,
    "reference_app": lambda words: reference_app.parser().parse_args(words),
    "uvicorn": lambda _: None,
}


def understood(words: Sequence[str]) -> None:
    """Fail unless the program's own parser takes these words."""
    words = [_FILLED.get(word, word) for word in words]
    match words:
        case ["leak-suite", *rest]:
            parse(rest)
        case ["python" | "python3", "dev.py", *rest]:
            if rest and (command := inside(rest[0], rest[1:])):
                understood(command)
        case ["tox", "run", "-e", name, *rest]:
            assert rest[:1] in ([], ["--"]), f"tox takes further words after --: {rest}"
            if command := inside(name, rest[1:]):
                understood(command)
        case ["python" | "python3", "-m", module, *rest] if module in _MODULES:
            _MODULES[module](rest)
        case ["locust" | "pytest", *rest]:
            named = [word for word in rest if word.endswith(".py")]
            assert all((ROOT / word).exists() or word in _WRITTEN for word in named)
        case [program, *rest] if program in _FOREIGN:
            files = [word for word in rest if word.startswith("requirements/")]
            assert all((ROOT / word).exists() for word in files)
        case _:
            raise AssertionError(f"no test knows this program: {shlex.join(words)}")
