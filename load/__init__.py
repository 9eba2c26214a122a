"""Load scenarios with pass/fail invariants; run as `python -m load SCENARIO`, never imported."""
