"""What memory is made of gets the right word, and what cannot be read is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.remedies.__main__ import PLANTED
from leak_suite.cli import main
from leak_suite.cli.commands.explain import ExplainCommand
from leak_suite.explain.fork_copies import Inherited
from leak_suite.explain.groups import SubjectGroup
from leak_suite.explain.observe import Observation, observe
from leak_suite.explain.parts import PartsReader, split
from leak_suite.explain.result import PARTS, Explanation, MemoryReading, Word
from leak_suite.explain.word import answer
from leak_suite.render import render
from leak_suite.result import Cause, Finding, Outcome, RunResult
from leak_suite.subject import CallableSpec, CommandSpec, Extras, ProcessComposition
from leak_suite.units import MIB

STABLE = RunResult("shop:job", {}, Outcome.STABLE, 1000, 2.0)


def growing(metric: str, unit: str = "bytes") -> RunResult:
    finding = Finding(metric, unit, Outcome.GROWING, Cause.LEAK, rate=100.0, interval=(90.0, 110.0))
    return replace(STABLE, outcome=Outcome.GROWING, findings=(finding,))


def readings(start: dict[str, float], middle: dict[str, float], end: dict[str, float]) -> Any:
    made = [start, {**start, **middle}, {**start, **middle, **end}]
    return tuple(
        MemoryReading(100 * n, float(n), {k: v * MIB for k, v in one.items()})
        for n, one in enumerate(made)
    )


CALM = {"python_used": 10.0, "native_used": 20.0, "files": 5.0}


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ("arenas_kept", Word.ALLOCATOR),
        ("python_kept", Word.ALLOCATOR),
        ("copies", Word.FORK_COPIES),
        ("page_cache", Word.PAGE_CACHE),
    ],
)
def test_the_part_that_grew_most_gives_the_word(part: str, word: Word) -> None:
    found = answer(STABLE, readings(CALM, {part: 60.0, "python_used": 14.0}, {}))
    assert (found.word, found.part) == (word, part)
    small = answer(STABLE, readings(CALM, {part: 4.0}, {}))
    assert small.word is Word.STEADY
    beside = answer(STABLE, readings(CALM, {part: 30.0, "native_used": 90.0}, {}))
    assert beside.word is Word.STEADY or part in ("arenas_kept", "python_kept")


def test_freed_memory_that_is_kept_is_the_answer_even_if_it_grows_no_more() -> None:
    large = {**CALM, "arenas_kept": 80.0}
    assert answer(STABLE, readings(large, {}, {})).word is Word.ALLOCATOR
    assert answer(STABLE, readings({**large, "native_used": 400.0}, {}, {})).word is Word.STEADY


@pytest.mark.parametrize(
    ("metric", "unit"), [("heap", "bytes"), ("blocks", "blocks"), ("fds", "descriptors")]
)
def test_what_is_counted_and_grows_is_a_leak_whatever_else_does(metric: str, unit: str) -> None:
    found = answer(growing(metric, unit), readings(CALM, {"arenas_kept": 90.0}, {}))
    assert found.word is Word.LEAK


@pytest.mark.parametrize(
    ("late", "word"),
    [
        ({"copies": 80.0, "native_used": 22.0}, Word.FORK_COPIES),
        ({"arenas_kept": 80.0}, Word.ALLOCATOR),
        ({"other_anon": 80.0}, Word.LEAK),
    ],
)
def test_resident_growth_is_what_goes_on_growing(late: dict[str, float], word: Word) -> None:
    assert answer(growing("rss"), readings(CALM, {}, late)).word is word


def test_a_container_below_its_bound_is_filling() -> None:
    finding = Finding("heap", "bytes", Outcome.STABLE, Cause.FILLING)
    found = answer(replace(STABLE, findings=(finding,)), readings(CALM, {"native_used": 90.0}, {}))
    assert found.word is Word.FILLING


def test_without_a_verdict_it_is_unclear_and_says_why() -> None:
    unclear = replace(STABLE, outcome=Outcome.INCONCLUSIVE, reason="it hung")
    found = answer(unclear, readings(CALM, {}, {}))
    assert (found.word, found.why) == (Word.UNCLEAR, "it hung")


def test_the_parts_of_a_process_add_up_and_none_is_below_zero() -> None:
    inside = {"python_used": 30, "malloc_used": 50, "python_kept": 10, "malloc_kept": 40}
    assert split(100.0, inside) == {
        "python_used": 30,
        "native_used": 50,
        "python_kept": 10,
        "arenas_kept": 10,
        "other_anon": 0,
    }
    assert sum(split(1000.0, inside).values()) == 1000.0
    assert split(70.0, {"malloc_used": None})["other_anon"] == 70.0


FORKS = """
import os, sys
size = 8 << 20
inherited = bytearray(os.urandom(1)) * size
pid = os.fork()
if pid:
    print(os.getpid(), pid, flush=True)
    os.waitpid(pid, 0)
    os._exit(0)
for word in iter(sys.stdin.readline, ""):
    if word == "write\\n":
        for offset in range(0, size, 4096):
            inherited[offset] ^= 1
    else:
        new = bytearray(os.urandom(1)) * size
    print("done", flush=True)
"""


@pytest.fixture
def forked() -> Iterator[tuple[int, int, Any]]:
    """(a parent's pid, its child's, what tells the child to write or to make something new)."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        parent, child = map(int, process.stdout.readline().split())

        def tell(word: str) -> None:
            print(word, file=process.stdin, flush=True)
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"

        yield parent, child, tell
        process.stdin.close()


def test_pages_that_a_child_writes_to_are_copies_and_new_ones_are_not(
    forked: tuple[int, int, Any],
) -> None:
    parent, child, tell = forked
    inherited = Inherited(parent)
    before = inherited.copied(child)
    assert before is not None
    tell("make")
    new = inherited.copied(child)
    assert new is not None
    assert new - before < MIB
    tell("write")
    after = inherited.copied(child)
    assert after is not None
    assert 7.5 * MIB < after - new < 9 * MIB


def test_copies_that_the_kernel_does_not_tell_of_are_said_and_not_zero(tmp_path: Path) -> None:
    assert Inherited(os.getpid(), tmp_path).copied(os.getpid()) is None
    reader = PartsReader(tmp_path)
    for pid in ("6", "7"):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "status").write_text("RssAnon:\t 100 kB\nRssFile:\t 8 kB\n")
    forked = ProcessComposition("forked from app.py", 6, {"python_used": 5, "malloc_used": 5})
    parent = ProcessComposition("main process", 1, {})
    parts, copies, *_ = reader.read({6: parent, 7: forked})
    assert copies == {}
    assert "copies" not in parts
    assert "forked from app.py: the kernel does not tell which pages were copied" in reader.notes
    assert any("no agent" in note for note in reader.notes)


def fake_process(tmp_path: Path, *, mounted: bool) -> Path:
    """The /proc of a process in a version 1 group whose memory.stat is not there."""
    group = tmp_path / "memory" / "shop"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("1\n")
    folder = tmp_path / "proc" / "9"
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text("4:memory:/shop\n")
    mount = f"30 20 0:1 / {tmp_path / 'memory'} rw - cgroup cgroup rw,memory\n"
    (folder / "mountinfo").write_text(mount if mounted else "")
    return tmp_path / "proc"


def test_a_group_that_cannot_be_read_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    group = SubjectGroup([9], may_make=False, proc=fake_process(tmp_path, mounted=True))
    assert group.info.error.startswith("memory.stat of the control group")
    assert group.info.error.endswith("shop is unreadable")
    assert group.parts() == {}
    group.close()


def test_a_process_without_a_group_is_said(tmp_path: Path) -> None:
    group = SubjectGroup([9], may_make=False, proc=fake_process(tmp_path, mounted=False))
    assert "in no control group" in group.info.error


def test_a_group_with_other_programs_in_it_is_not_called_its_own(tmp_path: Path) -> None:
    proc = fake_process(tmp_path, mounted=True)
    stat = "total_rss 4096\ntotal_cache 9000\ntotal_shmem 1000\ntotal_mapped_file 3000\n"
    (tmp_path / "memory" / "shop" / "memory.stat").write_text(stat)
    group = SubjectGroup([9], may_make=False, proc=proc)
    assert not group.info.own
    assert group.parts()["page_cache"] == 5000


def observed(name: str, seconds: float) -> Observation:
    planted = next(one for one in PLANTED if one.name == name)
    if "--" in planted.words:
        at = planted.words.index("--")
        spec: Any = CommandSpec(planted.words[at + 1 :], planted.words[at - 1])
    else:
        spec = CallableSpec(planted.words[0])
    return observe(spec, seconds, max_growth=128.0 * MIB, extras=Extras(undisturbed=True))


@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: one.name)
def test_each_planted_program_shows_its_kind_of_memory(planted: Any) -> None:
    seen = observed(planted.name, 1.0)
    if planted.word == "page cache" and not seen.group.own:
        pytest.skip("no control group can be made here")
    verdict = growing("heap") if planted.word == "leak" else STABLE
    assert answer(verdict, seen.readings).word.value == planted.word
    assert sum(len(one.copies) for one in seen.readings[-1:]) == 2 * (planted.word == "fork copies")


def test_a_workload_that_fails_ends_the_look_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def job():\n    raise OSError('no room')\n")
    seen = observe(
        CallableSpec(f"{tmp_path / 'bad.py'}:job"),
        1.0,
        max_growth=1e9,
        extras=Extras(undisturbed=True),
    )
    assert seen.error.startswith("the workload failed after 0 iterations: OSError: no room")
    assert len(seen.readings) == 2


EXPLAINED = Explanation(
    subject="shop:job",
    environment={"python": "3.11"},
    word=Word.ALLOCATOR,
    why="60 MiB of 64 MiB growth",
    verdict="stable: all level",
    line="",
    remedy="Fewer arenas.",
    remedy_lines=("MALLOC_ARENA_MAX=2",),
    readings=readings({**CALM, "copies": 1.0}, {"arenas_kept": 60.0}, {}),
    notes=("page cache and kernel memory: unreadable",),
)


@pytest.mark.parametrize("form", ["console", "markdown", "html"])
def test_an_explanation_is_shown_with_word_table_and_remedy_in_every_form(form: str) -> None:
    text = " ".join(render(EXPLAINED, form).split())
    order = [text.lower().index("allocator"), text.index("What memory is made of")]
    assert order == sorted(order)
    for said in ("60 MiB of 64 MiB growth", "MALLOC_ARENA_MAX=2", "unreadable"):
        assert said in text.replace("\\", "")


def test_the_page_has_a_picture_that_is_said_in_words_too() -> None:
    page = render(EXPLAINED, "html")
    label = PARTS["arenas_kept"].replace("'", "&#39;")
    assert f"{label} 60 MiB" in page
    assert page.count('class="boxes" role="img" aria-label=') == 3


def test_a_run_file_of_an_explanation_is_read_again_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "explained.json"
    EXPLAINED.write(path)
    assert Explanation.from_data(json.loads(path.read_text())) == EXPLAINED
    assert main(["show", str(path)]) == 0
    assert "ALLOCATOR: 60 MiB of 64 MiB growth" in capsys.readouterr().out
    assert main(["advise", str(path), "--limit", "1GiB"]) == 2
    assert "only `leak-suite show` reads" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "status"), [(Word.LEAK, 1), (Word.STEADY, 0), (Word.PAGE_CACHE, 0), (Word.UNCLEAR, 2)]
)
def test_the_status_is_that_of_the_word(
    word: Word, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake(*_: Any, **__: Any) -> Explanation:
        return replace(EXPLAINED, word=word)

    assert main(["explain", "shop:job", "--quiet"], [ExplainCommand(fake)]) == status
    assert capsys.readouterr().out.startswith(word.value.upper())


def test_a_url_cannot_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--url", "http://127.0.0.1:9", "--metric", "rss"]) == 2
    assert "explain needs the process itself" in capsys.readouterr().err
