"""pandas: a frame is made, grouped, merged, written and read."""

import io

import pandas as pd


def job() -> None:
    """One frame's life."""
    frame = pd.DataFrame({"shop": ["a", "b"] * 50, "price": range(100)})
    means = frame.groupby("shop")["price"].mean().reset_index()
    merged = frame.merge(means, on="shop", suffixes=("", "_mean"))
    again = pd.read_csv(io.StringIO(merged.to_csv(index=False)))
    assert len(again) == 100
