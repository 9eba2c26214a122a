"""Importing this module loads all that a job needs: give its name to the forkserver.

It makes no detector: a process in which a detector has ever existed, even a closed one, cannot
be forked into a process that makes another.
"""

from __future__ import annotations

from reference_app.pipeline.libraries import load

__all__: list[str] = []

load()
