"""What the agent costs each worker: processor time of a request, and memory.

A small Flask application under gunicorn with two workers, with and without the agent, in turn. The
workers' own processor time per request is compared, which a busy machine changes little, and the
private memory of a worker once it has answered.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

import httpx
import psutil

from leak_suite.metrics.process_tree import private_dirty
from leak_suite.service_process import ServiceProcess
from leak_suite.subject.agents import AgentHub

APPLICATION = """
from flask import Flask, jsonify

app = Flask(__name__)

@app.get("/")
def index():
    return jsonify(numbers=list(range(100)))
"""


def main() -> None:
    """Measure, and print one line a figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (5)")
    parser.add_argument("--requests", type=int, default=3000, help="requests of a run (3000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(APPLICATION, encoding="utf-8")
        pairs = [
            [_run(Path(folder), options.requests, agent) for agent in (False, True)]
            for _ in range(options.runs)
        ]
    ratios = [with_agent[0] / alone[0] for alone, with_agent in pairs]
    extra = [with_agent[1] - alone[1] for alone, with_agent in pairs]
    alone_us = median(alone[0] for alone, _ in pairs) * 1e6
    print(f"processor time of a request without the agent: {alone_us:.0f} us")
    print(f"with the agent, ratio: {median(ratios):.3f} (of {sorted(round(r, 3) for r in ratios)})")
    print(f"private memory more a worker: {median(extra) / 2**20:.2f} MiB")


def _run(folder: Path, requests: int, with_agent: bool) -> tuple[float, float]:
    """(processor seconds a request, private bytes a worker) of the workers."""
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "app:app"]
    with AgentHub() as hub:
        environment = hub.environment(os.environ) if with_agent else dict(os.environ)
        with ServiceProcess(
            command, folder=folder, environment=environment, stop_seconds=10.0
        ) as service:
            service.wait_until_listening(60.0)
            with httpx.Client(base_url=service.base_url, trust_env=False) as client:
                for _ in range(requests // 10):
                    client.get("/").raise_for_status()
                workers = psutil.Process(service.pid).children()
                before = [_processor_seconds(worker) for worker in workers]
                for _ in range(requests):
                    client.get("/").raise_for_status()
                spent = sum(_processor_seconds(worker) for worker in workers) - sum(before)
                memory = [private_dirty(worker.pid) or 0.0 for worker in workers]
            if with_agent and len(hub.links()) != len(workers) + 1:
                raise SystemExit("the agent was not in every process")
    return spent / requests, sum(memory) / len(memory)


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
