"""A history of runs, as a document: a table for each workload, its changes, its charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from leak_suite.history import ChangePoint, History, Track
from leak_suite.render.document import Chart, Document, Part, Table
from leak_suite.result import Outcome
from leak_suite.units import format_rate, format_value

__all__ = ["history_document"]


def history_document(history: History) -> Document:
    """What grows now, how levels and growth went, and at which commits they changed."""
    first, last = history.commits[0], history.commits[-1]
    count = len(history.commits)
    growing = history.growing
    changes = sum(len(track.changes) for track in history.tracks)
    why = f"{', '.join(growing)} at the last commit" if growing else "nothing at the last commit"
    why += f"; {changes or 'no'} change point{'' if changes == 1 else 's'} in {count} commit"
    span = first.short if count == 1 else f"{first.short} to {last.short}"
    return Document(
        subject=f"{span}, {first.time[:10]} to {last.time[:10]}",
        outcome=Outcome.GROWING if growing else Outcome.STABLE,
        word="growing" if growing else "stable",
        why=why if count == 1 else f"{why}s",
        sentences=tuple(_sentences(history)),
        parts=tuple(_parts(history)),
    )


def _sentences(history: History) -> Iterator[str]:
    if any(track.environments for track in history.tracks):
        yield (
            "Runs of other machines or Pythons are in it; levels are not compared across these "
            "borders."
        )
    yield "A change is shown once two more commits confirm it; compare judges a single one."


def _parts(history: History) -> Iterator[Part]:
    labels = tuple(f"{commit.short} {commit.time[:10]}" for commit in history.commits)
    for workload in dict.fromkeys(track.workload for track in history.tracks):
        tracks = [track for track in history.tracks if track.workload == workload]
        rows = tuple(_row(track) for track in tracks)
        yield Table(workload, ("", "commits", "first", "latest", "changes"), rows)
        changes = [row for track in tracks for row in _changes(track, history)]
        if changes:
            head = ("change", "commit", "before", "after", "difference")
            yield Table(f"Where {workload} changed", head, tuple(changes))
        for track in tracks:
            yield _chart(track, labels)


def _row(track: Track) -> tuple[str, ...]:
    known = [value for value in track.values if value is not None]
    text = _text(track)
    ends = (text(known[0]), text(known[-1])) if known else ("", "")
    return (_name(track), str(len(known)), *ends, str(len(track.changes)))


def _changes(track: Track, history: History) -> Iterator[tuple[str, ...]]:
    text = _text(track)
    for change in track.changes:
        commit = history.commits[change.commit].short
        yield (_name(track), commit, text(change.before), text(change.after), _gain(track, change))


def _gain(track: Track, change: ChangePoint) -> str:
    gained = change.after - change.before
    return f"{'+' if gained > 0 else '-'}{_text(track)(abs(gained))}"


def _name(track: Track) -> str:
    return f"growth of {track.measure}" if track.kind == "rate" else track.measure


def _text(track: Track) -> Callable[[float], str]:
    """How a value of the track is written."""
    if track.kind == "rate":
        return lambda value: format_rate(value, track.unit)
    return lambda value: format_value(value, track.unit)


def _chart(track: Track, labels: tuple[str, ...]) -> Chart:
    text = _text(track)
    return Chart(
        title=f"{track.workload}: {_name(track)}",
        labels=labels,
        values=track.values,
        texts=tuple("" if value is None else text(value) for value in track.values),
        changes=tuple(change.commit for change in track.changes),
        breaks=track.environments,
    )
