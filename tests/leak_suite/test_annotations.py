"""Workflow commands: one for each failed finding, on its line, that nothing can break out of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from leak_suite.clauses import plain
from leak_suite.places import Place
from leak_suite.render import RenderSettings, render
from leak_suite.result import Cause, Finding, Outcome, RunResult, Site

SITE = Site("src/jobs.py", 12, "run", 1024.0, (Place("src/app.py", 7, "handler"),), "list of bytes")
HEAP = Finding(
    "heap", "bytes", Outcome.GROWING, Cause.LEAK, 1024.0, clauses=plain("it grew"), sites=(SITE,)
)
FDS = Finding("fds", "files", Outcome.STABLE, rate=0.0)
BLIND = Finding("rss", "bytes", Outcome.INCONCLUSIVE, Cause.BLIND, clauses=plain("smaps is closed"))
RESULT = RunResult("jobs:run", {}, Outcome.GROWING, 4000, 3.2, findings=(FDS, BLIND, HEAP))


def workflow_commands(result: RunResult, root: Path | None = None) -> str:
    return render(result, "annotations", RenderSettings(root=root))


def test_a_growing_metric_is_an_error_on_its_line() -> None:
    assert workflow_commands(RESULT) == (
        "::error file=src/jobs.py,line=12,title=leak-suite%3A heap growing in jobs%3Arun::"
        "it grew%0Asrc/jobs.py:12 run 1 KiB per iteration%0Alist of bytes\n"
    )


def test_a_stable_run_says_nothing() -> None:
    assert workflow_commands(replace(RESULT, outcome=Outcome.STABLE, findings=(FDS,))) == ""


def test_what_could_not_be_judged_is_a_warning_only_where_it_decides() -> None:
    text = workflow_commands(replace(RESULT, outcome=Outcome.INCONCLUSIVE, findings=(FDS, BLIND)))
    assert text == (
        "::warning title=leak-suite%3A jobs%3Arun%3A inconclusive::rss: smaps is closed\n"
    )
    supporting = replace(BLIND, required=False)
    failed = RunResult("a:b", {}, Outcome.INCONCLUSIVE, 0, 0, findings=(supporting,), reason="died")
    assert (
        workflow_commands(failed) == "::warning title=leak-suite%3A a%3Ab%3A inconclusive::died\n"
    )


def test_no_text_ends_a_command_or_a_property() -> None:
    rude = replace(
        HEAP,
        metric="a,b:c::error::",
        clauses=plain("100%\r\n::error::x"),
        sites=(replace(SITE, file="a,b:c.py"),),
    )
    text = workflow_commands(replace(RESULT, findings=(rude,)))
    assert text.count("\n") == 1
    assert "\r" not in text
    head, _, message = text.removeprefix("::error ").partition("::")
    assert [part.partition("=")[0] for part in head.split(",")] == ["file", "line", "title"]
    assert "file=a%2Cb%3Ac.py" in head
    assert message.startswith("100%25%0D%0A::error::x")


def test_files_of_the_repository_are_named_from_its_root(tmp_path: Path) -> None:
    absolute = replace(SITE, file=str(tmp_path / "src" / "jobs.py"))
    text = workflow_commands(
        replace(RESULT, findings=(replace(HEAP, sites=(absolute,)),)), tmp_path
    )
    assert text.startswith("::error file=src/jobs.py,line=12,")


def test_a_site_in_a_library_is_written_on_the_caller_in_the_repository(tmp_path: Path) -> None:
    library = str(tmp_path / ".venv" / "lib" / "site-packages" / "x.py")
    for file in (library, "/usr/lib/python3/json.py"):
        site = replace(
            SITE,
            file=file,
            stack=(Place(file, 3, "dumps"), Place(f"{tmp_path}/src/app.py", 7, "go")),
        )
        text = workflow_commands(
            replace(RESULT, findings=(replace(HEAP, sites=(site,)),)), tmp_path
        )
        assert text.startswith("::error file=src/app.py,line=7,")
        assert f"{file}:12 run" in text


def test_no_more_than_ten_of_a_level() -> None:
    findings = tuple(
        replace(HEAP, metric=f"counter:{k}", sites=(replace(SITE, line=k),)) for k in range(30)
    )
    assert workflow_commands(replace(RESULT, findings=findings)).count("::error ") == 10


def test_one_leak_that_shows_in_five_metrics_is_one_annotation() -> None:
    names = ("heap", "blocks", "gc_objects", "rss", "rss_anon")
    findings = tuple(replace(HEAP, metric=name) for name in names)
    (line,) = workflow_commands(replace(RESULT, findings=findings)).splitlines()
    assert "title=leak-suite%3A heap%2C blocks%2C gc_objects%2C rss%2C rss_anon growing" in line
    assert "also growing: rss  1 KiB per iteration" in line


def test_leaks_with_the_same_holder_are_one_and_those_of_other_lines_are_not() -> None:
    held = replace(HEAP, sites=(replace(SITE, holder="shop.SEEN"),))
    objects = replace(HEAP, metric="tracked:Order", sites=(replace(SITE, line=90),))
    same = replace(objects, sites=(replace(objects.sites[0], holder="shop.SEEN"),))
    assert workflow_commands(replace(RESULT, findings=(held, same))).count("::error ") == 1
    assert workflow_commands(replace(RESULT, findings=(held, objects))).count("::error ") == 2


def test_memory_without_a_line_belongs_to_the_leak_that_has_one_and_a_handle_does_not() -> None:
    rss, fds = replace(HEAP, metric="rss", sites=()), replace(HEAP, metric="fds", sites=())
    assert workflow_commands(replace(RESULT, findings=(HEAP, rss))).count("::error ") == 1
    assert workflow_commands(replace(RESULT, findings=(HEAP, fds))).count("::error ") == 2


def test_a_site_without_a_file_marks_no_line() -> None:
    unknown = replace(HEAP, sites=(replace(SITE, file="", line=0),))
    (line,) = workflow_commands(replace(RESULT, findings=(unknown,))).splitlines()
    assert line.startswith("::error title=")
    assert ":0" not in line
