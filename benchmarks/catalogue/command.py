"""The command line: which catalogue, which cases, how often, and beside how much other work."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.catalogue.bench import busy_processes, run_twin
from benchmarks.catalogue.case import Case
from benchmarks.catalogue.result import TwinRun, score
from benchmarks.catalogue.start import TWINS
from benchmarks.catalogue.verify import Proof, prove
from benchmarks.catalogue.web.cases import CASES as WEB
from benchmarks.catalogue.workers.cases import CASES as WORKERS
from benchmarks.leakbench.tables import markdown

__all__ = ["CATALOGUES", "main"]

CATALOGUES = {"web": WEB, "workers": WORKERS}
_CASES = ("case", "twin", "outcome", "metrics", "first sites", "line", "s", "CPU s")
_PROOFS = ("case", "twin", "what grows", "declared", "first window", "second window", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where all twins are what they should be, or are called so; 1 where not; 2 on bad usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        wanted = _wanted(options.names)
    except ValueError as error:
        console.print(str(error))
        return 2
    if options.list:
        print(
            markdown(("catalogue", "case", "what leaks", "after `leak-suite run`"), _listed(wanted))
        )
        return 0
    if options.verify:
        return _verify(wanted, options.output, console)
    return _run(wanted, options, console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks catalogue", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="CASE", help="web, workers, or cases by name (default: all)")
    add("--verify", action="store_true", help="prove the cases themselves, without the gate")
    add("--list", action="store_true", help="show the cases and end")
    add("--repeat", type=int, default=1, metavar="N", help="runs of each twin (1)")
    add("--busy", type=int, default=0, metavar="N", help="processes that spin beside it (0)")
    add("--twin", choices=TWINS, help="only this one of the two")
    add("--timeout", type=float, default=300.0, metavar="S", help="seconds for one run (300)")
    options = "more words for `leak-suite run`, as one argument"
    add("--options", type=shlex.split, default=[], metavar="WORDS", help=options)
    output = Path("reports/out/catalogue")
    add("-o", "--output", type=Path, default=output, help=f"folder of results ({output})")
    return parser


def _wanted(names: Sequence[str]) -> list[tuple[str, Case]]:
    every = [(name, case) for name, cases in CATALOGUES.items() for case in cases]
    known = {*CATALOGUES, *(case.name for _, case in every)}
    if unknown := sorted(set(names) - known):
        raise ValueError(f"no such case: {', '.join(unknown)}; --list shows what there is")
    return [one for one in every if not names or {one[0], one[1].name} & set(names)]


def _listed(wanted: Iterable[tuple[str, Case]]) -> Iterator[tuple[str, ...]]:
    for catalogue, case in wanted:
        yield catalogue, case.name, case.about, f"`{shlex.join(case.arguments())}`"


def _verify(wanted: Sequence[tuple[str, Case]], folder: Path, console: Console) -> int:
    proofs = []
    for _, case in wanted:
        for twin in TWINS:
            proofs.append(prove(case, twin))
            console.print("  ".join(_proof_row(proofs[-1])), proofs[-1].error, markup=False)
    _write(folder, "proof", markdown(_PROOFS, map(_proof_row, proofs)), [*map(asdict, proofs)])
    console.print(f"{sum(proof.holds for proof in proofs)} of {len(proofs)} twins hold")
    return 0 if all(proof.holds for proof in proofs) else 1


def _proof_row(proof: Proof) -> tuple[str, ...]:
    rates = (f"{rate:,.4g}" for rate in (proof.declared, proof.first, proof.second))
    verdict = "broken" if proof.error else "holds" if proof.holds else "DOES NOT HOLD"
    return (proof.case, proof.twin, proof.kind, *rates, verdict)


def _run(wanted: Sequence[tuple[str, Case]], options: argparse.Namespace, console: Console) -> int:
    runs: dict[str, list[TwinRun]] = {}
    with busy_processes(options.busy):
        for repeat in range(options.repeat):
            for catalogue, case in wanted:
                for twin in [options.twin] if options.twin else TWINS:
                    run = run_twin(
                        case,
                        twin,
                        repeat,
                        timeout=options.timeout,
                        options=options.options,
                        keep=options.output / "wrong",
                    )
                    runs.setdefault(catalogue, []).append(run)
                    console.print("  ".join(_row(run)), run.note, markup=False)
                    # After each run, so that an interruption loses none.
                    _report(runs, options)
    for catalogue, its in runs.items():
        console.print(f"\n{catalogue}\n{markdown(_SCORES, score(its).rows())}", markup=False)
    return 0 if all(run.as_expected for its in runs.values() for run in its) else 1


_SCORES = ("", "runs", "95%")


def _report(runs: dict[str, list[TwinRun]], options: argparse.Namespace) -> None:
    head = f"{options.repeat} repetitions, {options.busy} busy processes beside it."
    text = f"# Catalogue\n\n{head}\n"
    data: dict[str, object] = {"repeat": options.repeat, "busy": options.busy}
    for catalogue, its in runs.items():
        text += f"\n## {catalogue}\n\n{markdown(_SCORES, score(its).rows())}"
        text += f"\n{markdown(_CASES, map(_row, its))}"
        data[catalogue] = {"score": asdict(score(its)), "runs": [*map(asdict, its)]}
    _write(options.output, "catalogue", text, data)


def _row(run: TwinRun) -> tuple[str, ...]:
    line = "-" if not run.leaks else "named" if run.line_named else "no"
    return (
        run.case,
        run.twin,
        run.outcome if run.as_expected else f"{run.outcome} ✗",
        " ".join(run.metrics),
        " ".join(dict.fromkeys(run.first_sites)),
        line,
        f"{run.seconds:.1f}",
        f"{run.cpu_seconds:.1f}",
    )


def _write(folder: Path, name: str, text: str, data: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
