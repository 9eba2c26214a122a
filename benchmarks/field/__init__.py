"""The gate on well-known packages from PyPI, which were not collected as leaks."""
