"""Loaded last by the forkserver: gives back what loading took and no worker needs."""

from __future__ import annotations

import gc

from reference_app.memory.file_pages import release_file_pages

__all__: list[str] = []

gc.collect()
# What is loaded by now lives as long as the process; a collector that never walks it leaves its
# pages shared between the workers.
gc.freeze()
release_file_pages()
