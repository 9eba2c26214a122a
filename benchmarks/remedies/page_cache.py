"""Fills the page cache: it writes to a large file, and from its start again at its end."""

from __future__ import annotations

import itertools
import os
import tempfile

_BLOCK, _BLOCKS = 4 << 20, 48
_folder = os.environ.get("SPOOL", "/var/tmp")
_file = tempfile.TemporaryFile(dir=_folder)  # noqa: SIM115 - it lives as long as the program
_numbers = itertools.cycle(range(_BLOCKS))


def job() -> None:
    """Write the next 4 MiB."""
    os.pwrite(_file.fileno(), bytes(_BLOCK), next(_numbers) * _BLOCK)
