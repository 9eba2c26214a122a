"""Why a finding is what it is: typed clauses, and the one place where they become English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from leak_suite.units import format_duration, format_number, format_rate, format_value

__all__ = ["Clause", "ClauseKind", "Part", "plain", "wording"]


class Part(str, Enum):
    """What a clause speaks of: the verdict, the places that growth came from, or an acceptance."""

    VERDICT = "verdict"
    SITES = "sites"
    ACCEPTANCE = "acceptance"


class ClauseKind(str, Enum):
    """What a clause says. `_CLAUSES` holds the part and the English of each."""

    TEXT = "text"
    OLD_REASON = "old reason"
    OLD_SITES = "old sites"
    # growing
    GREW = "grew"
    DIFFERENT_BEFORE = "different before"
    NOT_PROVEN = "not proven"
    GREW_WITH = "grew with"
    GREW_TO_THE_END = "grew to the end"
    # stable
    STAYED = "stayed"
    LEVELLED_OFF = "levelled off"
    FIRST_USE = "first use"
    CYCLED = "cycled"
    DECAYED = "decayed"
    MOVED_LITTLE = "moved little"
    BELOW_TOLERANCE = "below tolerance"
    READ = "read"
    # inconclusive
    UNEVEN = "uneven"
    NOISY = "noisy"
    TOO_FEW = "too few"
    BLIND = "blind"
    NOT_READ = "not read"
    BUDGET_NOT_CHECKED = "budget not checked"
    STOPPED_EARLY = "stopped early"
    SHARED_PAGES = "shared pages"
    NO_AGENT = "no agent"
    # in the light of budgets and other metrics
    PEAKED_OVER_BUDGET = "peaked over budget"
    OVER_BUDGET = "over budget"
    WITHIN_BUDGET = "within budget"
    COVERED = "covered"
    OBJECTS_STEADY = "objects steady"
    ALLOCATOR_KEEPS = "allocator keeps"
    RETAINED = "retained"
    SEEN_FROM_OUTSIDE = "seen from outside"
    FOLLOWS = "follows"
    MAPPED = "mapped"
    IN_A_CHILD = "in a child"
    # containers that are bounded, or emptied at times
    FILLING = "filling"
    FULL_IN = "full in"
    FULL_WITHIN_ALLOWANCE = "full within allowance"
    FULL_OVER_ALLOWANCE = "full over allowance"
    FULL_WITHIN_BUDGET = "full within budget"
    FULL_OVER_BUDGET = "full over budget"
    BOUND_PASSED = "bound passed"
    EMPTIED = "emptied"
    EMPTIED_FROM_TO = "emptied from to"
    WATCHED = "watched"
    # where it came from
    SITES_TRACED = "sites traced"
    SITES_BY = "sites by"
    SITES_NOTE = "sites note"
    SITES_TURNOVER = "sites turnover"
    SITES_UNEXPLAINED = "sites unexplained"
    SITES_BY_HEAP = "sites by heap"
    NO_SITE_TRACED = "no site traced"
    NO_SITE_GREW = "no site grew"
    NO_SITE_OUTSIDE = "no site outside"
    NO_SITE_COUNTER = "no site counter"
    NO_SITE_METRIC = "no site metric"
    NO_SITE_FAILED = "no site failed"
    NO_SITE_ENDED = "no site ended"
    # what the configuration accepts
    ACCEPTED = "accepted"
    NOT_ACCEPTED = "not accepted"


@dataclass(frozen=True)
class Clause:
    """One fact of a finding; which fields have a meaning follows from the kind.

    `value` and `limit` are in the finding's unit, `rate` in it per iteration; `iterations` and
    `of` count iterations, the part and the whole; `count` counts readings; of a container `count`
    and `of` are its entries and the most that it may have. `seconds` are of the workload, `metrics`
    names other metrics. `text` holds what was said elsewhere: the name of a tool, an error, a
    user's reason.
    """

    kind: ClauseKind
    value: float | None = None
    limit: float | None = None
    rate: float | None = None
    iterations: float | None = None
    of: float | None = None
    count: int | None = None
    seconds: float | None = None
    metrics: tuple[str, ...] = ()
    text: str = ""

    @property
    def part(self) -> Part:
        """What the clause speaks of."""
        return _CLAUSES[self.kind][0]


_REMEDY = (
    "limit the arenas (MALLOC_ARENA_MAX=1 or 2), give freed memory back (MALLOC_TRIM_THRESHOLD_="
    "131072, or malloc_trim after each job)"
)
_AGAINST = "{value} against a budget of {limit}"

# A wording that begins with a mark or a space continues the sentence before it.
_CLAUSES: Mapping[ClauseKind, tuple[Part, str]] = {
    ClauseKind.TEXT: (Part.VERDICT, "{text}"),
    ClauseKind.OLD_REASON: (Part.VERDICT, "{metric} {text}"),
    ClauseKind.OLD_SITES: (Part.SITES, "{text}"),
    ClauseKind.GREW: (
        Part.VERDICT,
        "{metric} grew by {rate}, {value} over the last {iterations} iterations, and did not slow "
        "down",
    ),
    ClauseKind.DIFFERENT_BEFORE: (
        Part.VERDICT,
        " (it was different in the {iterations} before)",
    ),
    ClauseKind.NOT_PROVEN: (
        Part.VERDICT,
        "; the time was up: a cache of more than {iterations} entries that was still filling would "
        "look the same",
    ),
    ClauseKind.GREW_WITH: (Part.VERDICT, ", along with {metrics}"),
    ClauseKind.GREW_TO_THE_END: (
        Part.VERDICT,
        "{metric} grew by {rate}, from {value} to {limit} in {count} readings without a fall, "
        "until the run had to end",
    ),
    ClauseKind.STAYED: (Part.VERDICT, "{metric} stayed at {value} over {of} iterations"),
    ClauseKind.LEVELLED_OFF: (
        Part.VERDICT,
        "{metric} rose by {value} and levelled off at {limit}: the last {iterations} of {of} "
        "iterations added nothing that lasts",
    ),
    ClauseKind.FIRST_USE: (
        Part.VERDICT,
        "{metric} rose by {value} at first use and has been level for {iterations} of {of} "
        "iterations",
    ),
    ClauseKind.CYCLED: (
        Part.VERDICT,
        "{metric} goes up and comes down between {value} and {limit}; over {of} iterations the "
        "bounds stayed",
    ),
    ClauseKind.DECAYED: (
        Part.VERDICT,
        "{metric} rose by {value} over {of} iterations, ever more slowly: it nears a bound",
    ),
    ClauseKind.MOVED_LITTLE: (
        Part.VERDICT,
        "{metric} moved by no more than {value} over {of} iterations, too little to matter",
    ),
    ClauseKind.BELOW_TOLERANCE: (
        Part.VERDICT,
        "{metric} moves by {rate}, less than the {limit} that matter, over {of} iterations",
    ),
    ClauseKind.READ: (Part.VERDICT, "{metric} was read"),
    ClauseKind.UNEVEN: (
        Part.VERDICT,
        "{metric} cannot be judged after {of} iterations: it rose, but too unevenly or too briefly "
        "to call it growth or to rule it out; run longer",
    ),
    ClauseKind.NOISY: (
        Part.VERDICT,
        "{metric} cannot be judged after {of} iterations: growth below {rate} would drown in its "
        "ups and downs; run longer",
    ),
    ClauseKind.TOO_FEW: (
        Part.VERDICT,
        "{metric} was read {count} times after warm-up; {of} are needed. Give the run more time",
    ),
    ClauseKind.BLIND: (Part.VERDICT, "{metric} could not be read: its probe is blind here"),
    ClauseKind.NOT_READ: (Part.VERDICT, "{metric} could not be read"),
    ClauseKind.BUDGET_NOT_CHECKED: (
        Part.VERDICT,
        "{metric} could not be read, so its budget could not be checked",
    ),
    ClauseKind.STOPPED_EARLY: (
        Part.VERDICT,
        "{metric} was not judged: the run was stopped early because of {metrics}",
    ),
    ClauseKind.SHARED_PAGES: (
        Part.VERDICT,
        "{metric} rose, but resident memory did not: others that shared pages with it let go",
    ),
    ClauseKind.NO_AGENT: (
        Part.VERDICT,
        "{metric} was not read everywhere: the agent is in {count} of {of} Python processes; not "
        "in {text}, whose own memory was seen from outside only",
    ),
    ClauseKind.PEAKED_OVER_BUDGET: (Part.VERDICT, f"{{metric}} peaked at {_AGAINST}"),
    ClauseKind.OVER_BUDGET: (Part.VERDICT, f"It is over budget: {_AGAINST}"),
    ClauseKind.WITHIN_BUDGET: (Part.VERDICT, f"Its peak was {_AGAINST}"),
    ClauseKind.COVERED: (Part.VERDICT, "{metrics} covers for it, with a coarser view"),
    ClauseKind.OBJECTS_STEADY: (
        Part.VERDICT,
        "Python's own objects are steady; memory of C code is not seen",
    ),
    ClauseKind.ALLOCATOR_KEEPS: (
        Part.VERDICT,
        f"Live memory did not: the allocator keeps it. Hint: {_REMEDY}",
    ),
    ClauseKind.RETAINED: (
        Part.VERDICT,
        "{metric} still rose by {rate} when the budget ended while {metrics} stayed flat: the "
        f"allocator keeps freed memory. Remedy: {_REMEDY}",
    ),
    ClauseKind.SEEN_FROM_OUTSIDE: (
        Part.VERDICT,
        "Seen from outside, a leak cannot be distinguished from memory that the allocator keeps",
    ),
    ClauseKind.FOLLOWS: (Part.VERDICT, "It follows {metrics}"),
    ClauseKind.MAPPED: (
        Part.VERDICT,
        "Live heap and objects are flat: this is memory mapped directly, or by a library's own "
        "allocator",
    ),
    ClauseKind.IN_A_CHILD: (
        Part.VERDICT,
        "Live heap and objects are flat: this is memory of a child process",
    ),
    ClauseKind.FILLING: (
        Part.VERDICT,
        "{metric} grew by {rate} while a container fills: {text}; {count} of {of} entries",
    ),
    ClauseKind.FULL_IN: (
        Part.VERDICT,
        "At this pace it is full after {iterations} more iterations, {seconds}",
    ),
    ClauseKind.FULL_WITHIN_ALLOWANCE: (
        Part.VERDICT,
        "Full it takes about {value}, within the allowance of {limit}",
    ),
    ClauseKind.FULL_OVER_ALLOWANCE: (
        Part.VERDICT,
        "Full it takes about {value}, over the allowance of {limit}: lower the bound, or raise the "
        "allowance",
    ),
    ClauseKind.FULL_WITHIN_BUDGET: (
        Part.VERDICT,
        "{metric} is then at about {value}, within its budget of {limit}",
    ),
    ClauseKind.FULL_OVER_BUDGET: (
        Part.VERDICT,
        "{metric} is then at about {value}, over its budget of {limit}",
    ),
    ClauseKind.BOUND_PASSED: (
        Part.VERDICT,
        "The bound of {text} does not hold: {count} entries, {of} are allowed",
    ),
    ClauseKind.EMPTIED: (
        Part.VERDICT,
        "{metric} rose with a container that was seen to be emptied: {text}",
    ),
    ClauseKind.EMPTIED_FROM_TO: (
        Part.VERDICT,
        "{metric} rose to {value} and came down to {limit}, when a container was emptied: {text}",
    ),
    ClauseKind.WATCHED: (
        Part.VERDICT,
        "Code that runs can empty {text}; in {iterations} iterations, {seconds}, it was not seen "
        "to do so",
    ),
    ClauseKind.SITES_TRACED: (
        Part.SITES,
        "Sites: {iterations} and {of} iterations traced in the running process",
    ),
    ClauseKind.SITES_BY: (Part.SITES, " by {text}"),
    ClauseKind.SITES_NOTE: (Part.SITES, " ({text})"),
    ClauseKind.SITES_TURNOVER: (
        Part.SITES,
        "; they carry more than the verdict saw: what a cache turns over may stand beside the leak",
    ),
    ClauseKind.SITES_BY_HEAP: (
        Part.SITES,
        ", the C library's heap read after each own line: the allocations that were recorded have "
        "no Python line",
    ),
    ClauseKind.SITES_UNEXPLAINED: (Part.SITES, "; {rate} is not explained by them"),
    ClauseKind.NO_SITE_TRACED: (
        Part.SITES,
        "No line is named: the allocations that were recorded carry less than a tenth of what an "
        "iteration adds",
    ),
    ClauseKind.NO_SITE_GREW: (Part.SITES, "No line is named: nothing grew where tracing looks"),
    ClauseKind.NO_SITE_OUTSIDE: (
        Part.SITES,
        "No line is named: this subject is seen from outside only",
    ),
    ClauseKind.NO_SITE_COUNTER: (
        Part.SITES,
        "No line is named for a counter that the app declares",
    ),
    ClauseKind.NO_SITE_METRIC: (
        Part.SITES,
        "No line is named: tracing does not look for what {metric} counts",
    ),
    ClauseKind.NO_SITE_FAILED: (
        Part.SITES,
        "No line is named: tracing did not succeed ({text})",
    ),
    ClauseKind.NO_SITE_ENDED: (
        Part.SITES,
        "No line is named: the subject ended while it was traced ({text})",
    ),
    ClauseKind.ACCEPTED: (Part.ACCEPTANCE, "accepted: {text}"),
    ClauseKind.NOT_ACCEPTED: (Part.ACCEPTANCE, "{text}"),
}
_IN_BYTES = frozenset({ClauseKind.FULL_WITHIN_ALLOWANCE, ClauseKind.FULL_OVER_ALLOWANCE})
_FREE = frozenset({ClauseKind.TEXT, ClauseKind.OLD_REASON, ClauseKind.OLD_SITES})


def plain(text: str) -> tuple[Clause, ...]:
    """A single clause in words of its own."""
    return (Clause(ClauseKind.TEXT, text=text),)


def wording(clauses: Iterable[Clause], metric: str, unit: str) -> str:
    """The English of `clauses` of a finding on `metric`, whole sentences in their order.

    With an empty `metric` the sentences stand behind a heading that names it already.
    """
    sentences: list[str] = []
    for clause in clauses:
        words = _words(clause, metric, unit)
        if sentences and words.startswith((" ", ",", ";")):
            sentences[-1] = sentences[-1].removesuffix(".") + words
        else:
            sentences.append(words.strip())
        if clause.kind not in _FREE:
            sentences[-1] += "."
    return " ".join(sentence for sentence in sentences if sentence)


def _words(clause: Clause, metric: str, unit: str) -> str:
    # The size of a full container is in bytes, whatever the finding counts.
    unit_of_size = "bytes" if clause.kind in _IN_BYTES else unit
    return _CLAUSES[clause.kind][1].format(
        metric=metric,
        value=format_value(clause.value, unit_of_size),
        limit=format_value(clause.limit, unit_of_size),
        rate=format_rate(clause.rate, unit),
        iterations=_count(clause.iterations),
        of=_count(clause.of),
        count=_count(clause.count),
        seconds="?" if clause.seconds is None else format_duration(clause.seconds),
        metrics=", ".join(clause.metrics),
        text=clause.text,
    )


def _count(value: float | None) -> str:
    return "?" if value is None else format_number(value)
