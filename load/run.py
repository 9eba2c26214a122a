"""`python -m load`: serve, load by Locust in a process of its own, collect, one exit status."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fixtures.servers import ServerMissing
from leak_suite.errors import ConfigurationError, LeakSuiteError
from leak_suite.service_process import free_port
from load.plan import ROOT, LoadPlan
from load.scenarios import SCENARIOS
from load.service import Service, check_reachable, serve, serve_scaled

__all__ = ["main"]

_LOCUST = (sys.executable, "-m", "locust", "-f", str(ROOT / "load" / "locustfile.py"))
_APIS, _LOAD_WORKERS = 2, 2
#: Locust's workers: until all of them have come, and until they have ended after their master.
_WORKERS_HERE_SECONDS, _WORKER_END_SECONDS = 60, 10.0
CI = ("concurrency", "rejection")
_APP = "reference_app.main:app"
#: A run that is not through by then is ended, and has not been exercised.
_LONGEST_SECONDS = 1200.0


def main(argv: Sequence[str] | None = None) -> int:
    """0 all passed, 1 an invariant was violated, 2 not exercised or broken."""
    options = _parser().parse_args(argv)
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    scenarios = CI if options.scenario == "ci" else (options.scenario,)
    statuses = [_one(scenario, options) for scenario in scenarios]
    return 1 if 1 in statuses else max(statuses)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m load",
        description="Load the service and judge it: 0 passed, 1 violated, 2 not exercised.",
    )
    parser.add_argument("scenario", choices=[*SCENARIOS, "ci"], help="ci is " + " and ".join(CI))
    parser.add_argument(
        "--host",
        action="append",
        help="a running service; only its answers are seen then (give it for every process with a "
        "port where a scenario asks several)",
    )
    parser.add_argument("--app", default=_APP, help=f"what to serve (default {_APP})")
    parser.add_argument("--factory", action="store_true", help="--app names what makes the app")
    parser.add_argument(
        "--apis",
        type=int,
        help="serve the form on more than one machine, with so many processes that have a port "
        "(default: 2 for scaled, else the form on one machine)",
    )
    parser.add_argument(
        "--load-workers",
        type=int,
        help="let so many Locust processes make the load of a scenario that can be distributed "
        "(default: 2)",
    )
    parser.add_argument("--users", type=int, help="how many users (default: the scenario's own)")
    parser.add_argument("--rounds", type=int, default=0, help="how many rounds")
    parser.add_argument("--seconds", type=float, help="begin no new round after so long")
    parser.add_argument(
        "--slots", type=int, default=LoadPlan.slots, help="jobs that may run at once"
    )
    parser.add_argument("--pending", type=int, default=LoadPlan.pending, help="jobs that may wait")
    parser.add_argument("--max-upload-mb", type=int, default=LoadPlan.max_upload_mb)
    parser.add_argument("--clips", choices=["small", "real"], default="small")
    parser.add_argument(
        "--stall-seconds",
        type=float,
        default=LoadPlan.stall_seconds,
        help="jobs count as lost when none has moved for so long (default %(default)g)",
    )
    parser.add_argument("--patience-seconds", type=float, help="deprecated name of --stall-seconds")
    parser.add_argument("--health-ms", type=float, default=LoadPlan.health_ms)
    parser.add_argument("--recovery-seconds", type=float, default=LoadPlan.recovery_seconds)
    parser.add_argument("--max-seconds", type=float, default=_LONGEST_SECONDS)
    parser.add_argument("-o", "--out", type=Path, help="folder (default reports/out/load-SCENARIO)")
    return parser


def _plan(scenario: str, options: argparse.Namespace) -> LoadPlan:
    out = options.out or ROOT / "reports" / "out"
    seconds = options.seconds
    if seconds is None:
        seconds = SCENARIOS[scenario].seconds
    return LoadPlan(
        scenario=scenario,
        slots=options.slots,
        pending=options.pending,
        max_upload_mb=options.max_upload_mb,
        rounds=options.rounds,
        seconds=seconds,
        clips=options.clips,
        stall_seconds=_stall_seconds(options),
        load_workers=_load_workers(scenario, options),
        health_ms=options.health_ms,
        recovery_seconds=options.recovery_seconds,
        out=str((out / f"load-{scenario}").resolve()),
    )


def _load_workers(scenario: str, options: argparse.Namespace) -> int:
    """How many Locust processes make the load; 0 where the scenario's users have to meet in one."""
    if SCENARIOS[scenario].distributed:
        return _LOAD_WORKERS if options.load_workers is None else max(1, options.load_workers)
    if options.load_workers:
        raise ConfigurationError(f"--load-workers: the users of {scenario} meet in one process")
    return 0


def _stall_seconds(options: argparse.Namespace) -> float:
    if options.patience_seconds is None:
        return float(options.stall_seconds)
    print("load: --patience-seconds is deprecated; use --stall-seconds", file=sys.stderr)
    return float(options.patience_seconds)


def _one(scenario: str, options: argparse.Namespace) -> int:
    """One scenario from start to status; whatever breaks on the way is a 2."""
    try:
        plan = _plan(scenario, options)
        plan.folder.mkdir(parents=True, exist_ok=True)
        outcome_file = plan.folder / "outcome.json"
        # An outcome of an earlier run must not speak for this one.
        outcome_file.unlink(missing_ok=True)
        print(f"load: {scenario}", flush=True)
        SCENARIOS[scenario].prepare_files(plan)
        exit_code = _loaded(plan, options)
    except (LeakSuiteError, ServerMissing) as error:
        print(f"load: {error}")
        return 2
    return _report(plan, outcome_file, exit_code)


def _loaded(plan: LoadPlan, options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        if options.host is None:
            service = stack.enter_context(_served(plan, options))
            hosts, environment = service.urls, dict(service.environment)
            plan = service.known_to(plan)
        else:
            hosts, environment = tuple(options.host), {}
            for host in hosts:
                check_reachable(host)
            plan = replace(plan, hosts=",".join(hosts) if len(hosts) > 1 else "")
        users = options.users
        if users is None:
            users = SCENARIOS[plan.scenario].default_users(plan)
        environment = {**os.environ, **environment, **plan.to_environment()}
        port = free_port()
        for number in range(plan.load_workers):
            stack.enter_context(_locust_worker(plan, number, port, environment))
        return _locust(plan, hosts[0], users, options.max_seconds, port, environment)


def _served(plan: LoadPlan, options: argparse.Namespace) -> AbstractContextManager[Service]:
    """The service in the form that the scenario or the options ask for."""
    apis = options.apis
    if apis is None and SCENARIOS[plan.scenario].distributed:
        apis = _APIS
    if apis:
        return serve_scaled(
            options.app,
            plan.folder / "service",
            factory=options.factory,
            apis=apis,
            slots=plan.slots,
        )
    return serve(options.app, plan.folder / "service.log", factory=options.factory)


@contextmanager
def _locust_worker(
    plan: LoadPlan, number: int, port: int, environment: Mapping[str, str]
) -> Iterator[None]:
    """One of the Locust processes that the master leads; it has ended when the block is left."""
    command = [*_LOCUST, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)]
    with (plan.folder / f"locust-worker-{number}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        # The master has ended it, if it came to that.
        try:
            process.wait(_WORKER_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _locust(
    plan: LoadPlan,
    host: str,
    users: int,
    max_seconds: float,
    port: int,
    environment: Mapping[str, str],
) -> int:
    """Locust's exit code; its output goes to a file beside its report."""
    command = [*_LOCUST, "--headless", "--only-summary", "--host", host, "--tags", plan.scenario]
    if plan.load_workers:
        command += ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port)]
        command += ["--expect-workers", str(plan.load_workers)]
        command += ["--expect-workers-max-wait", str(_WORKERS_HERE_SECONDS)]
    command += ["--users", str(users), "--spawn-rate", "100"]
    command += ["--run-time", f"{max(1, round(max_seconds))}s"]
    command += ["--html", str(plan.folder / "locust.html")]
    command += ["--csv", str(plan.folder / "locust")]
    with (plan.folder / "locust.log").open("wb") as log:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=max_seconds + 180,
            check=False,
        )
    return done.returncode


def _report(plan: LoadPlan, outcome_file: Path, exit_code: int) -> int:
    """Print the table; 0 only where Locust and the judgement both say so."""
    outcome: dict[str, Any] = {}
    if outcome_file.exists():
        outcome = json.loads(outcome_file.read_text(encoding="utf-8"))
        print(_table(outcome))
    status = _status(outcome, exit_code)
    words = {0: "passed", 1: "VIOLATED", 2: "NOT EXERCISED OR BROKEN"}[status]
    print(f"load: {plan.scenario} {words} (status {status}); everything is in {plan.folder}")
    if status == 2 and not outcome:
        print(f"load: Locust ended with {exit_code} and no judgement: see {plan.folder}/locust.log")
    return status


def _table(outcome: Mapping[str, Any]) -> str:
    """One line per invariant, what went wrong below it."""
    checks = outcome["checks"]
    width = max((len(check["name"]) for check in checks), default=0)
    lines = [
        f"  {outcome['uploads']} uploads, {outcome['jobs']} jobs, {outcome['rounds']} rounds, "
        f"{outcome['seconds']:g} s; view: {outcome['view']}"
    ]
    for check in checks:
        seen = f"{check['seen']:>6}" if check["seen"] else "     -"
        lines.append(f"  {check['name']:<{width}} {seen}  {check['state']}")
        lines += [f"      {detail}" for detail in check["details"]]
    lines += [f"  {figure}" for figure in outcome.get("figures", ())]
    lines += [f"  broken: {reason}" for reason in outcome["broken"]]
    return "\n".join(lines)


def _status(outcome: dict[str, Any], exit_code: int) -> int:
    judged = outcome.get("status")
    if judged not in (0, 1, 2):
        return 2
    if judged == 0 and exit_code != 0:
        # Locust counts a failed request that no invariant speaks of.
        return exit_code if exit_code in (1, 2) else 2
    return int(judged)
