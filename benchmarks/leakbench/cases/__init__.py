"""The project's own cases: seeded leaks, and clean jobs that tempt a false alarm."""
