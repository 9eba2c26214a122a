"""A memory-regression gate for Python services."""

__version__ = "0.1.0"
