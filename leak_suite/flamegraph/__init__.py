"""Flamegraphs of a subject by memray, and the difference of two.

Nothing is imported here: an application's worker processes import `leak_suite.flamegraph.workers`,
and should not pay for the rest.
"""
