"""Numbers with units are written the same way everywhere, and read back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leak_suite.metrics import METRICS
from leak_suite.units import (
    MIB,
    format_duration,
    format_number,
    format_rate,
    format_value,
    parse_duration,
    parse_size,
)

finite = st.floats(-1e15, 1e15)
units = st.sampled_from(sorted({probe.unit for probe in METRICS.values()}))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "bytes", "0 B"),
        (0.001, "bytes", "0.001 B"),
        (5.04, "bytes", "5.04 B"),
        (1023, "bytes", "1,023 B"),
        (1023.6, "bytes", "1 KiB"),
        (1024, "bytes", "1 KiB"),
        (1536, "bytes", "1.5 KiB"),
        (-2048, "bytes", "-2 KiB"),
        (3 * 2**20, "bytes", "3 MiB"),
        (2**20 - 1, "bytes", "1 MiB"),
        (105 * 2**20, "bytes", "105 MiB"),
        (2**30, "bytes", "1 GiB"),
        (12, "descriptors", "12 descriptors"),
        (1, "processes", "1 process"),
        (1, "tasks", "1 task"),
        (1, "objects", "1 object"),
        (1, "count", "1 count"),
        (0.9999, "processes", "1 process"),
        (0, "processes", "0 processes"),
        (0.0042, "blocks", "0.0042 blocks"),
        (1234.5, "", "1,234"),
        (None, "bytes", "?"),
    ],
)
def test_values_have_three_digits_and_a_unit(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1044, "bytes", "1.02 KiB per iteration"),
        (1, "processes", "1 process per iteration"),
        (0.5, "threads", "0.5 threads per iteration"),
        (0.001, "threads", "1 thread every 1,000 iterations"),
        (0.001, "bytes", "0.001 B per iteration"),
        (-0.1, "tasks", "-0.1 tasks per iteration"),
        (None, "tasks", ""),
    ],
)
def test_rates_are_per_iteration_or_one_in_so_many(
    value: float | None, unit: str, text: str
) -> None:
    assert format_rate(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0421, "0.042 s"), (3.25, "3.2 s"), (115.66, "115.7 s")]
)
def test_durations_are_in_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(finite)
def test_a_written_number_is_within_half_a_percent(value: float) -> None:
    written = float(format_number(value).replace(",", ""))
    assert written == pytest.approx(value, rel=0.005)


@given(finite, units)
def test_no_number_below_a_thousand_shows_more_than_three_digits(value: float, unit: str) -> None:
    number = format_value(value, unit).partition(" ")[0].partition("e")[0]
    digits = re.sub(r"\D", "", number).lstrip("0")
    assert len(digits) <= 3 or "," in number, number


@given(finite, units)
def test_only_one_thing_is_singular(value: float, unit: str) -> None:
    number, _, name = format_value(value, unit).partition(" ")
    if unit != "bytes":
        assert (name == unit) == (number != "1")
        assert name in (unit, unit.removesuffix("s"), unit.removesuffix("es"))


@given(st.floats(0, 2.0**49))
def test_a_written_size_can_be_read_back(value: float) -> None:
    written = format_value(value, "bytes").replace(",", "")
    if "e" not in written:
        assert parse_size(written) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("260 MiB", 260 * MIB),
        ("1GiB", 1024**3),
        ("1 GB", 1024**3),
        ("64k", 65536),
        ("1.5K", 1536),
        ("4096", 4096),
        (17, 17),
        ("12 B", 12),
    ],
)
def test_sizes_are_powers_of_1024(text: object, size: float) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1 XB", "nan", True, -1, float("inf")])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ, each is checked elsewhere
        parse_size(text)


@given(st.integers(0, 2**50))
def test_a_number_of_bytes_stays_what_it_is(size: int) -> None:
    assert parse_size(size) == parse_size(str(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("500ms", 0.5), ("2 min", 120), ("1h", 3600), (1.5, 1.5)]
)
def test_durations_have_units(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds
