"""Every number that a verdict depends on, and where it comes from.

Those without another source were set by `python -m benchmarks.verdict_power`: false alarms on clean
series against leaks that are caught, at the rates that docs/verdicts.md publishes. After a change,
run it again with `--write`.
"""

from __future__ import annotations

from leak_suite.units import KIB, MIB

MIN_SAMPLES = 5
"""Readings after warm-up below which nothing is said."""

# -- scores: in standard deviations of a normal distribution

GROWTH_SCORE = 4.5
"""A trend of this score is growth. A series is judged after every round, so that a single test has
to be wrong in less than one of 100,000 cases."""
LEVEL_SCORE = 3.0
"""A trend below this score may be level."""
DETECTION_ERRORS = 6.5
"""Growth is found with 90% power when it is this many standard errors large: 4.5 for the score and
1.3 (the 90% quantile), rounded up for the test of both halves."""

# -- what growth must look like (ramp.py)

RAMP_STARTS = (0.0, 0.25, 0.5)
"""Where a ramp may begin, as shares of the run."""
STEEPENING = 1.3
"""A part whose second half is steeper than its first by more than this holds an earlier level."""
REVERSAL_FACTOR = 2.5
"""Growth must be so many times higher than what was ever given back."""
GAP_FACTOR = 1.5
"""The wait since the last new maximum may be so many times the longest one before it."""
SLOW_RATES = 32.0
"""Growth below so many times the tolerated rate is slow: small caches fill like that for long."""
SLOW_KEPT_PACE = 0.8
"""Slow growth must keep this share of its pace from its first half to its second."""
SLOW_TRIPLED, SLOW_REMNANT = 3.0, 4.0
"""Slow growth after faster growth counts once the iterations have tripled and it is so many times
higher than other growth must be: a cache that fills by ever rarer keys grows with the logarithm."""
FASTER_BEFORE, STILL_SLOWING = 1.15, 0.95
"""What grew faster before a ramp by the first factor, and loses pace within it, is slowing down."""
STAIRCASE_DECREASE = 0.05
"""Of a staircase's growth no more than this share may have been given back."""
ONE_STEP_SHARE, ONE_STEP_READINGS = 0.5, 12
"""One step of so much of the growth of so many readings or more is no ramp: a process of Celery's
that had nothing to do for half of the run and was then used for the first time."""
STAIRCASE_STEPS_EXACT, STAIRCASE_STEPS, STAIRCASE_STEPS_FLAT = 4, 12, 5
"""New maxima of a staircase: of counted metrics, of others, of others that are mostly flat."""
OUTGROWN = 3.0
"""Growth of so many times the implausible needs few readings, if every step goes up."""
OUTGROWN_SAMPLES, OUTGROWN_SAMPLES_FINAL, OUTGROWN_LAST_STEP = 4, 2, 0.7
"""How many readings, at the end of the run, and how steep the last step against the whole."""
OUTGROWN_ERROR = 0.1
"""The error that is given to a rate from so few readings, as a share of it."""
UNEVEN_REVERSAL = 0.25
"""Uneven growth may have given back this share of it and still count as rising."""

# -- shapes (shape.py)

HALVES_DECAY, HALVES_DECAY_SURE = 0.7, 0.92
"""The second half of a decaying series lags behind the first by the first factor, or by the second
one where its steps are even enough to tell."""
HALVES_ERRORS = 3
"""So many standard errors are what "even enough" means."""
STALL_SHARE, STALL_STEPS = 0.5, 2
"""A ramp stalls when its last quarter gains less than this share of its part, where that part is
larger than so many of the largest steps and of the noise."""
STOPPED_PACE, EVEN_PACE, STOPPED_STEPS = 0.5, 0.8, 6
"""Growth has just stopped when its last step is below this share of the median pace, and no step
before was below that one, over so many steps or more. From a false alarm of the error rates: seed
1039609, a cache of 8,300 entries that was full in the middle of the deciding round."""
FIFTH_DECAY, FIFTH_NOISE = 0.85, 8
"""Each fifth of a decaying series gains less than this share of the one before; the first gains at
least so many times the noise."""
DECAYED_SHARE, DECAYED_SHARE_FINAL = 0.25, 0.5
"""What the last fifth may gain of the first, during the run and at its end."""
DECAY_SAMPLES = 10
"""Readings below which decay is not tested."""
REVERSAL_BLOCKS, REVERSAL_START = 12, 0.02
"""Reversals are looked for in so many blocks; a fall from the level of the start counts if the
series had risen by this share of the fall before."""
DROP_SHARE, DROPS_SHARE = 0.4, 0.8
"""A drop of a cycle is this share of the range, and all of them this share of all decrease."""
CYCLE_TOP, CYCLE_BOTTOM = 0.1, 0.2
"""By how much of the range a cycle's top and bottom may have risen."""
CYCLE_QUANTA = 8
"""A cycle, or a plateau, moves by more than so many of the smallest moves that count."""

# -- level series (judge.py)

TAIL_SHARE = 0.4
"""The trend is taken since the last new maximum if that is this share of the run, else of all."""
SETTLED_LIMIT_FINAL, SETTLED_GROWTH, SETTLED_GROWTH_FINAL = 32, 2, 16
"""How coarse a view still allows "stable": of the finest wanted, at the end of the run; and in
minimum growths over the whole run, before its end and at it."""
SETTLED_GAPS, SETTLED_GAPS_FINAL = 3.0, 1.0
"""A level must have lasted so many times the longest wait between new maxima."""
WANDERING_SHARE = 0.5
"""A series wanders if all its decrease is more than this share of its rise."""
SHORT_TAIL = 0.25
"""A level shorter than this share of the run is not called a plateau."""
CYCLE_REVERSAL = 0.6
"""A stable series whose largest reversal is this share of its range is a cycle."""
EARLY, MOST_OF_ALL = 0.1, 0.5
"""First use: a step in so early a part of the run, by so much of all that the series moves."""
FIRST_USE_SHARE, FIRST_USE_STEPS = 0.15, 3
"""A level that was reached so early, in so few steps, is first use rather than a plateau."""
WHOLE_RUN = 0.9
"""A ramp shorter than this share of the run was preceded by something else, which is said."""

# -- how much is enough (policy.py)
# No finite series proves a leak: any ramp could be a cache that is still filling. What is asked for
# is therefore a policy, explained in docs/verdicts.md.

RAMP_LENGTHS: tuple[tuple[float, int], ...] = (
    (0.5, 40_000),
    (1.0, 20_000),
    (4.0, 12_000),
    (8.0, 10_000),
    (10.0, 2_000),
    (12.0, 500),
    (15.0, 50),
    (18.0, 12),
)
"""(Workload seconds spent, iterations over which growth must have gone on from then on). Long ramps
cost fast workloads nothing; slow workloads seldom fill large caches. Chosen by 4,000 made-up runs
of each kind that fills or is emptied late: 32 false alarms of 12,000, where 5,000 iterations at 6 s
and 2,000 at 8 s gave 91 (`benchmarks.verdict_power`, seed 8)."""
BENT_PACE, BENT_LENGTH = 0.93, 2
"""Slow growth whose second half lags behind must go on for so many times longer."""
JOB_SECONDS, JOB_ITERATIONS, JOB_ITERATIONS_EXACT = 0.1, 12, 40
"""An iteration this long is a job of its own; growth of a job's size in each of them is no cache
after so many, or so many where handles are counted: pools of up to 40 are common."""
LEVEL_LENGTHS: tuple[tuple[float, int], ...] = (
    (0.5, 20_000),
    (1.0, 10_000),
    (2.5, 5_000),
    (6.0, 500),
    (10.0, 12),
)
"""The same for calling a series stable: late starts and rare jumps must have had their chance."""
STILL_LENGTHS: tuple[tuple[float, int], ...] = (
    (0.5, 20_000),
    (1.0, 8_000),
    (2.0, 5_000),
    (4.0, 4_000),
    (6.0, 500),
    (10.0, 12),
)
"""The same for a series that does not move: there no noise can hide a slow beginning."""
EXHAUSTED_SAMPLES, EXHAUSTED_RATE = 3, 0.2
EXHAUSTED_LATE, EXHAUSTED_LATE_RATE = 0.25, 0.25
"""What is counted grew to the end of a run that had to end: so many readings, so much an iteration,
and over the last part of the iterations at this share of the pace of the whole."""
FILLED_SHARE, FILLED_SAMPLES = 0.8, 10
"""Something was filled if the first half of the iterations brought this share of all growth; the
second half is then judged by itself, from so many readings on."""
LEVEL_SAMPLES = 8
"""Readings that a stable series must have before the run's end."""
NOISE_ALLOWANCES = ((0.0, 1.0), (6.0, 4.0), (10.0, 32.0))
"""(Workload seconds spent, how much coarser than wanted the view may be from then on)."""
LONGEST_PERIOD_SHARE = 3
"""A jump that recurs is seen if the run is so many times longer than its period."""

# -- defaults of tolerances (tolerance.py): (minimum growth, implausible, coarsest view)

USUAL_THREADS, MOST_THREADS = 1.0, 8.0
"""Each thread beyond the first keeps free chunks of its own, which the C library counts as in use
(glibc's tcache): the heap's minimum growth holds for each of them, up to so many. Four threads that
decode pictures of random size added 0.37 MiB in 600 jobs, ever more slowly."""
EXACT_DEFAULTS = (4.0, 5_000.0, 1.0)
BYTES_DEFAULTS = (64.0 * KIB, 48.0 * MIB, 128.0)
RESIDENT_DEFAULTS = (2.0 * MIB, 96.0 * MIB, 4.0 * KIB)
"""The kernel counts pages, which allocators take in arenas of 1 MiB (glibc) and keep."""
COUNT_DEFAULTS = (256.0, 1e6, 2.0)
QUANTUM_SHARE, STILLNESS_SHARE = 1 / 64, 1 / 4
"""The smallest move that counts, and the range of a series that is still, as shares of the
minimum growth."""
JOB_SIZED_EXACT = 0.9
"""Counted things that a whole job leaves behind, per iteration."""

# -- resident memory beside live memory (run_series.py, reconcile.py)

RESIDENT_NOISE = 8.0 * MIB
"""With live memory level, less resident growth than this is the kernel's noise."""
RETENTION_GROWTH, RETENTION_HEAP_SHARE = 4.0 * MIB, 0.5
"""Retention is named where resident memory rose by this, and the heap by no more than that share
of it."""
LIVE_SHARE = 0.02
"""Resident growth ends a run where live memory grows by so much of it at least. Threads that make
and free pictures of 50 B to 50 MB: 154 MiB of arenas, 0.1 MiB of small free chunks, in 26 jobs."""
MAPPED_SPREAD, MAPPED_EVENNESS, PAGE = 0.02, 0.1, 4096.0
"""Memory that is mapped call by call grows by a page an iteration at least, as straight as this:
its spread as a share of its growth, and how far its halves differ."""
# -- containers that are bounded, or emptied at times (filling.py)

FILLING_EXPLAINED, FILLING_BESIDE = 0.75, 0.05
"""Bounded containers must carry this share of the growth, and what grows beside them no more than
that one. The rest is what allocators round up and tables reserve."""
FILLING_ALLOWANCE = 512.0 * MIB
"""What full containers may take where the metric has no budget: half of the growth that ends a run
by default. An option, `filling_allowance`."""
EMPTIED_SHARE = 0.5
"""A container was emptied if this share of all growth was given back."""
STILL_GROWING_SHARE, STILL_GROWING_PACE, STILL_GROWING_READINGS = 0.1, 0.25, 2
SURELY_GROWING_PACE, STILL_GROWING_STRETCHES = 0.75, 3
"""After a trace that found no container, the run goes on for this share of its iterations: less
than this part of the rate between at least so many readings means that growth had stopped, and from
the second part on that it goes on. Between them as long a stretch follows, up to so many: a table
of Celery that is cleaned up at 115% of its bound grew on at half the rate for a while."""
STOPPED_STRETCHES = 5
"""What has stopped is watched for so many more: then a plateau is half of the run."""
READINGS_A_TOOTH = 16
"""So often a container is read until it must have been emptied."""
EMPTIED_LATE = 1.25
"""Where the length is known that a container is emptied at, it is watched so many times as long."""

BLIND_READINGS = 3
"""After so many readings without a value a metric counts as blind."""
NEXT_ROUND_SHARE = 1 / 8
"""Growth may go on by this share of what would settle the matter before it is judged again."""
