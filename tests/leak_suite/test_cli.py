"""The contract of the command line: what it takes, what it prints, and its three statuses."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leak_suite.cli import main
from leak_suite.cli.command import Command
from leak_suite.cli.commands import COMMANDS
from leak_suite.cli.commands.run import RunCommand
from leak_suite.errors import LeakSuiteError
from leak_suite.options import Options
from leak_suite.result import Cause, Details, Finding, Outcome, RunResult, Series, Site

ROOT = Path(__file__).resolve().parents[2]
OTHERS = [command for command in COMMANDS if command.name != "run"]
HEAP = Finding("heap", "bytes", Outcome.GROWING, Cause.LEAK, 64.0, sites=(Site("job.py", 3, "f"),))


def result(outcome: Outcome) -> RunResult:
    series = (Series("heap", "bytes", ((0, 1.0), (10, 641.0))),)
    finding = replace(HEAP, outcome=outcome)
    return RunResult("job:f", {"python": "3"}, outcome, 10, 1.0, series, (finding,))


class FakeCheck:
    """Stands where the real check does, remembers what it was given, answers as it was set up."""

    def __init__(self, answer: Outcome | BaseException) -> None:
        self.answer = answer
        self.spec: Any = None
        self.options = Options()

    def __call__(self, spec: object, options: Options, *, on_progress: object = None) -> RunResult:
        self.spec, self.options = spec, options
        if isinstance(self.answer, BaseException):
            raise self.answer
        return result(self.answer)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.STABLE, 0),
        (Outcome.GROWING, 1),
        (Outcome.OVER_BUDGET, 1),
        (Outcome.INCONCLUSIVE, 2),
    ],
)
def test_the_outcome_is_the_status(outcome: Outcome, status: int) -> None:
    assert main(["run", "job:f"], [RunCommand(FakeCheck(outcome))]) == status


@pytest.mark.parametrize(
    "error",
    [
        LeakSuiteError("no"),
        RuntimeError("no"),
        AssertionError("no"),
        MemoryError(),
        KeyboardInterrupt(),
        GeneratorExit(),
        SystemExit(0),
        SystemExit(1),
        SystemExit(None),
        SystemExit("no"),
    ],
    ids=repr,
)
def test_whatever_breaks_is_status_2_and_one_line(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "job:f"], [RunCommand(FakeCheck(error))]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("leak-suite: ")
    assert said.err.count("\n") == 1


def test_debug_shows_where_it_broke(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "job:f", "--debug"], [RunCommand(FakeCheck(ValueError("deep")))]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith(
        "leak-suite: could not judge: ValueError: deep (--debug shows the traceback)\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["shop:job", "--python", sys.executable],
        ["--app", "shop:app", "--workload", "drive:it", "--request-timeout", "5"],
        ["--pid", str(os.getpid()), "--workload", "drive:it", "--request-timeout", "5"],
        ["--url", "http://x/", "--metric", "a", "--workload", "b:c", "--request-timeout", "5"],
        ["--workload", "drive:it", "--env", "A=1", "--request-timeout", "5", "--", "serve", "8000"],
    ],
    ids=lambda words: words[0],
)
def test_a_subject_names_the_command_line_that_it_was_made_from(words: list[str]) -> None:
    check = FakeCheck(Outcome.STABLE)
    assert main(["run", *words], [RunCommand(check)]) == 0
    assert check.spec is not None
    assert check.spec.command() == words


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required"),
        (["run"], "give one subject"),
        (["run", "job:f", "--pid", "1"], "given were TARGET and --pid"),
        (["run", "job.f"], "'job.f' must be written package.module:name"),
        (["run", "nowhere.py:f"], "there is no file nowhere.py"),
        (["run", "job:f", "--workload", "a:b"], "a TARGET is its own workload"),
        (["run", "--app", "shop:app"], "--app needs --workload"),
        (["run", "--url", "http://127.0.0.1:1/"], "--url needs --metric"),
        (["run", "--env", "X", "--", "python", "x.py"], "--env: write NAME=VALUE"),
        (["run", "--cwd", "nowhere", "--", "python", "x.py"], "--cwd: there is no folder nowhere"),
        (["run", "--request-timeout", "0", "--", "x"], "--request-timeout: '0' must be above zero"),
        (["run", "--workload", "a:b", "--"], "no command after --"),
        (
            ["show", "run.json", "--", "ls"],
            "only `run`, `explain`, `fit` and `flamegraph` take a command",
        ),
        (["run", "--pid", "999999999"], "there is no process 999999999"),
        (["run", "--pid", "0"], "there is no process 0"),
        (["run", "job:f", "--pid", "many"], "invalid int value"),
        (["run", "job:f", "--max-seconds", "soon"], "'soon' is not a duration"),
        (["run", "job:f", "--budget", "peek=1"], "did you mean 'peak'?"),
        (["run", "job:f", "--python", "/nowhere"], "no interpreter at /nowhere"),
        (["run", "job:f", "--sped", "1"], "unknown option --sped"),
        (["run", "job:f", "more"], "too many arguments: more"),
        (["show", "missing.json"], "missing.json: No such file"),
        (["rnu"], "unknown command rnu; did you mean run?"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_says_what_to_give(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, [RunCommand(FakeCheck(Outcome.STABLE)), *OTHERS]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["run", "job:f", "--max-second", "5"], "--max-seconds"),
        (["run", "--budgte=peak=1MB", "job:f"], "--budget"),
        (["show", "run.json", "--fromat", "html"], "--format"),
        (["init", "--pyhton", "x"], "--python"),
        (["baseline", "update", "--quite", "x"], "--quiet"),
    ],
)
def test_an_unknown_option_shows_the_usage_of_its_command_and_the_nearest_option(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: leak-suite {arguments[0]} ")
    assert f"did you mean {nearest}?" in said


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_and_version_are_status_0(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out


def test_every_flag_reaches_the_options() -> None:
    check = FakeCheck(Outcome.STABLE)
    flags = "--max-seconds 2min --python python3 --max-growth 1MiB --max-threads 9"
    flags += " --budget peak=260MiB --budget heap=1KiB --track shop:Cursor --counter n=shop:count"
    flags += " --no-attribution -o out/run.json --quiet"
    assert main(["run", "job:f", *flags.split()], [RunCommand(check)]) == 0
    given = check.options
    assert given.python is not None
    assert given.python.name == "python3"
    assert replace(given, python=None) == Options(
        max_seconds=120,
        max_growth_bytes=1024**2,
        max_threads=9,
        budgets={"peak": 260.0 * 1024**2, "heap": 1024.0},
        tracked=("shop:Cursor",),
        counters={"n": "shop:count"},
        attribution=False,
        output=Path("out/run.json"),
        quiet=True,
    )


def test_a_flag_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.leak_suite]\nmax_seconds = 7\nmax_threads = 5\nattribution = false\n"
    )
    check = FakeCheck(Outcome.STABLE)
    main(["run", "job:f", "--max-seconds", "3"], [RunCommand(check)])
    assert (check.options.max_seconds, check.options.max_threads) == (3, 5)
    assert check.options.attribution is False


def test_the_command_after_two_dashes_is_left_untouched(tmp_path: Path) -> None:
    (tmp_path / "drive.py").write_text("def visit(client): ...\n")
    check = FakeCheck(Outcome.STABLE)
    command = ["python", "server.py", "{port}", "--quiet", "--", "-o", "x"]
    assert main(["run", "--workload", "drive.py:visit", "--", *command], [RunCommand(check)]) == 0
    assert check.spec.argv == tuple(command)
    assert check.spec.workload == "drive.py:visit"
    assert not check.options.quiet


def test_the_run_file_is_written_and_shown_with_the_same_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        main(["run", "job:f", "-o", "out/run.json"], [RunCommand(FakeCheck(Outcome.GROWING))]) == 1
    )
    first = capsys.readouterr().out
    written = RunResult.read(Path("out/run.json"))
    assert replace(written, details=Details()) == replace(
        result(Outcome.GROWING), details=Details()
    )
    assert main(["show", "out/run.json"]) == 1
    assert capsys.readouterr().out == first
    assert main(["show", "out/run.json", "--format", "markdown"]) == 1
    assert capsys.readouterr().out.startswith("### leak-suite: growing")


def test_a_run_file_of_another_version_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.json").write_text('{"schema_version": 99}')
    assert main(["show", "run.json"]) == 2
    assert "schema version 99 is unknown" in capsys.readouterr().err


def test_a_run_file_that_cannot_be_written_does_not_cost_the_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("out").write_text("a file, not a folder")
    assert (
        main(["run", "job:f", "-o", "out/run.json"], [RunCommand(FakeCheck(Outcome.STABLE))]) == 2
    )
    said = capsys.readouterr()
    assert said.out.startswith("STABLE")
    assert "out" in said.err


def test_json_prints_the_run_file_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "job:f", "--json"], [RunCommand(FakeCheck(Outcome.GROWING))])
    said = capsys.readouterr()
    printed = RunResult.from_json(said.out)
    assert replace(printed, details=Details()) == replace(
        result(Outcome.GROWING), details=Details()
    )
    assert printed.details.command == ("leak-suite", "run", "job:f", "--json")
    assert said.err == ""


def test_the_run_file_holds_to_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "leak_suite" / "run.schema.json").read_text())
    main(["run", "job:f", "--json"], [RunCommand(FakeCheck(Outcome.GROWING))])
    jsonschema.validate(json.loads(capsys.readouterr().out), schema)


def test_quiet_prints_the_verdict_only(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "job:f", "--quiet"], [RunCommand(FakeCheck(Outcome.GROWING))])
    assert capsys.readouterr().out == "GROWING: heap grows by 64 B per iteration\n"


def test_no_color_and_pipes_get_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "job:f"], [RunCommand(FakeCheck(Outcome.GROWING))])
    said = capsys.readouterr()
    assert "\x1b" not in said.out
    assert said.err == ""


def test_the_probes_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probes"]) == 0
    said = capsys.readouterr().out
    assert all(metric in said for metric in ("heap", "fds", "temp_files"))


def test_a_signal_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    main(["run", "job:f"], [RunCommand(FakeCheck(Outcome.STABLE))])
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_old_name_of_a_flag_still_works_and_says_what_to_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["fit", "--memory", "1M", "--app", "a:b", "--workload", "a:b", "--way", "nothing"]
    assert main(words) == 2
    assert "--way is deprecated; use --backend" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_explains_itself(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command.name, "--help"]) == 0
    assert command.help in " ".join(capsys.readouterr().out.split())


def test_the_help_shows_the_defaults_of_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"(default: {Options.max_seconds:g})" in text
    assert f"(default: {Options.max_threads})" in text


def test_what_a_failed_step_logs_is_shown_with_debug_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class LoggingCheck(FakeCheck):
        def __call__(self, *arguments: Any, **named: Any) -> RunResult:
            logging.getLogger("leak_suite.checks").debug("attribution failed")
            return super().__call__(*arguments, **named)

    check = LoggingCheck(Outcome.STABLE)
    main(["run", "job:f", "--debug"], [RunCommand(check)])
    assert capsys.readouterr().err == "leak-suite: attribution failed\n"
    main(["run", "job:f"], [RunCommand(check)])
    assert capsys.readouterr().err == ""
