"""The difference of two recordings, on made-up stacks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from leak_suite.cli import main
from leak_suite.flamegraph.differential import differential_page
from leak_suite.flamegraph.stacks import Difference, GraphFrame, Stack, sites

MAIN = GraphFrame("main", "app.py", 3, own=True)
LEAK = GraphFrame("keep", "app.py", 9, own=True)
LIBRARY = GraphFrame("append", "lib/store.py", 40, own=False)
CACHE = GraphFrame("load", "app.py", 20, own=True)


def difference(stacks: dict[Stack, tuple[float, float]]) -> Difference:
    return Difference("base against head", "bytes", stacks)


CHANGED = difference(
    {(MAIN, LEAK, LIBRARY): (100, 5100), (MAIN, CACHE): (9000, 9000), (LIBRARY,): (800, 500)}
)


def test_a_site_is_the_innermost_own_line_and_a_library_only_where_there_is_none() -> None:
    found = sites({(MAIN, LEAK, LIBRARY): 5.0, (LIBRARY,): 2.0, (): 1.0})
    assert [(p.frame.place, p.bytes) for p in found] == [("app.py:9", 5.0), ("lib/store.py:40", 2)]


def test_only_what_grew_is_named_however_much_the_rest_holds() -> None:
    assert [(p.frame.place, p.bytes) for p in CHANGED.grown()] == [("app.py:9", 5000)]


def tree(page: str) -> list[object]:
    found = re.search(r"const data = (.*);\n", page)
    assert found is not None
    data: list[object] = json.loads(found[1])
    return data


def test_the_page_has_the_table_and_the_tree_with_both_sides() -> None:
    page = differential_page(CHANGED)
    assert "<td>+5,000.0</td><td>keep</td><td><code>app.py:9</code></td>" in page
    name, _, base, head, changed, children = tree(page)
    assert (name, base, head, changed) == ("all", 9900, 14600, 5300)
    assert isinstance(children, list)
    assert {child[0] for child in children} == {"main", "append"}


def test_the_page_asks_nothing_of_the_network_and_names_cannot_break_out_of_it() -> None:
    evil = GraphFrame("</script><script>alert(1)", "<b>.py", 1, own=True)
    page = differential_page(difference({(evil,): (0.0, 10.0)}))
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in page
    assert page.count("</script>") == 1
    assert "<b>.py" not in page.replace('"<b>.py', "")


def test_a_page_of_very_many_stacks_stays_small_and_keeps_the_largest() -> None:
    many = {
        tuple(
            GraphFrame(f"f{i % 7}_{d}" * 9, f"package/module_{i}.py", d, own=True)
            for d in range(30)
        ): (
            1.0,
            2.0,
        )
        for i in range(3000)
    }
    page = differential_page(difference({**many, (MAIN, LEAK): (0.0, 1e6)}))
    assert len(page) < 300 * 1024
    assert '"keep"' in page


def test_nothing_that_grew_is_said_so() -> None:
    assert "no line holds more than before" in differential_page(difference({(MAIN,): (5, 5)}))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give one subject"),
        (["job.py"], "must be written"),
        (["--app", "shop:app"], "--app needs --workload"),
        (["job:f", "--diff", "a.bin", "b.bin"], "--diff takes two recordings"),
        (["--diff", "a.bin", "b.bin"], "there is no recording a.bin"),
        (["job:f", "--iterations", "0"], "at least 1"),
        (["job:f", "--max-seconds", "soon"], "not a duration"),
        (["job:f", "--leaks", "--peak"], "not allowed with"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_says_what_to_give(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["flamegraph", *arguments, "-o", "fg"]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_no_recording_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "a.bin"
    wrong.write_bytes(b"nothing")
    assert main(["flamegraph", "--diff", str(wrong), str(wrong), "-o", str(tmp_path)]) == 2
    assert "a.bin cannot be read" in capsys.readouterr().err
