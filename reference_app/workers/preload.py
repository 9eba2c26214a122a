"""Loaded by the forkserver alone: what every worker is to have from its first instruction."""

from __future__ import annotations

import ctypes
import os
import signal

# Loaded here once instead of in every worker; the heavy libraries follow in a module of their own.
import reference_app.workers.child_main  # noqa: F401

__all__: list[str] = []

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)
_forkserver_pid = os.getpid()


def _die_with_the_forkserver() -> None:
    """Ask the kernel for it; and a forkserver that died before the asking is gone already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _forkserver_pid:
        os._exit(1)


os.register_at_fork(after_in_child=_die_with_the_forkserver)
