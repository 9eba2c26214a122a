"""Locust scenarios as workloads for `leak-suite fit`: an iteration is one whole run of one.

LOAD_ROUNDS makes the runs shorter or longer.
"""

from __future__ import annotations

import os
import subprocess
import sys

import httpx

__all__ = ["burst", "concurrency", "steady"]


def concurrency(client: httpx.Client) -> None:
    """More users than there are places."""
    _run("concurrency", client)


def burst(client: httpx.Client) -> None:
    """Five at once, then silence."""
    _run("burst", client)


def steady(client: httpx.Client) -> None:
    """One after the other, of mixed sizes."""
    _run("steady", client)


def _run(scenario: str, client: httpx.Client) -> None:
    address = str(client.base_url).rstrip("/")
    command = [sys.executable, "-m", "load", scenario, "--host", address]
    command += ["--rounds", os.environ.get("LOAD_ROUNDS", "0")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{scenario} ended with {done.returncode}: {done.stdout[-600:]}")
