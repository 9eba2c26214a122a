"""Benchmarks and studies: run by hand or at night, imported by nobody but tests."""
