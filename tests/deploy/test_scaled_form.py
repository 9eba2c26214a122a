"""The configuration of the service on more than one machine: a blueprint, and compose."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from leak_suite.fit import PLANS
from reference_app.__main__ import parser
from reference_app.memory.allocator import worker_environment
from reference_app.settings import Settings

yaml = pytest.importorskip("yaml", reason="no YAML reader here")
ROOT = Path(__file__).resolve().parents[2]
#: What is read from the environment by others than the settings: Render, Python's store client.
OTHERS = {"PYTHON_VERSION", "WEB_CONCURRENCY"} | set(worker_environment())
STORE = {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
ROLES = get_args(Settings.model_fields["role"].annotation)
DATABASE = "postgresql://user:password@host/jobs"
CONNECTIONS = 97  # PostgreSQL's default of 100, of which 3 are kept for administrators


def render() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The blueprint's database, and its services by type."""
    text = yaml.safe_load((ROOT / "render-scaled.yaml").read_text())
    (database,) = text["databases"]
    return database, {one["type"]: one for one in text["services"]}


def compose() -> dict[str, Any]:
    """The services of compose.yaml, with what they share filled in."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


def given(service: dict[str, Any]) -> dict[str, str]:
    """The variables of a service of the blueprint; made up where Render fills them in."""
    filled = {"DATABASE_URL": DATABASE, "STORAGE_URL": "s3://clips/service"}
    return {
        one["key"]: one.get("value", filled.get(one["key"], "secret")) for one in service["envVars"]
    }


def read(variables: dict[str, str]) -> Settings:
    """The settings as the service reads them; each variable must be one that somebody reads."""
    own = {name for name in variables if name.lower() in Settings.model_fields}
    assert set(variables) - own <= OTHERS | STORE
    assert {"DATABASE_URL", "STORAGE_URL"} | STORE <= set(variables)
    return Settings.model_validate({name.lower(): variables[name] for name in own})


def command(text: str) -> str:
    """What a command line of the service does, by the service's own parser."""
    _, words = text.removeprefix("exec ").split("python -m reference_app", 1)
    return str(parser().parse_args(words.split()).command)


def test_the_blueprint_has_every_part_and_each_is_read_by_the_settings() -> None:
    _, services = render()
    assert set(services) == {"web", "worker", "cron"}
    roles = {name: read(given(one)).role for name, one in services.items()}
    assert (roles["web"], roles["worker"]) == ("api", "worker")
    commands = {name: command(one["startCommand"]) for name, one in services.items()}
    assert commands == {"web": "start", "worker": "start", "cron": "tidy"}
    for name in ("web", "worker"):
        assert command(services[name]["preDeployCommand"]) == "migrate"
    for one in services.values():
        assert one["buildCommand"].endswith("--no-deps --require-hashes -r requirements/scale.txt")


def test_what_the_blueprint_refers_to_is_in_it() -> None:
    database, services = render()
    asked = {one["key"] for one in services["web"]["envVars"] if one.get("sync") is False}
    assert asked == {"STORAGE_URL", *STORE}
    for service in services.values():
        for one in service["envVars"]:
            if "fromDatabase" in one:
                assert one["fromDatabase"]["name"] == database["name"]
            if "fromService" in one:
                assert one["fromService"]["name"] == services["web"]["name"]
                assert one["fromService"]["envVarKey"] == one["key"]
            assert isinstance(one.get("value", ""), str)


def test_the_limits_of_the_blueprint_are_those_of_the_machines_it_asks_for() -> None:
    _, services = render()
    web, worker = read(given(services["web"])), read(given(services["worker"]))
    assert (web.max_processing, web.max_pending) == (worker.max_processing, worker.max_pending)
    assert worker.max_processing == services["worker"]["numInstances"] * worker.slots
    connections = sum(
        one.get("numInstances", 1) * (read(given(one)).database_connections + 1)
        for one in services.values()
    )
    # While a deploy goes on the old and the new processes are connected.
    assert 2 * connections <= CONNECTIONS
    for name, settings in (("web", web), ("worker", worker)):
        memory = PLANS["render-" + services[name]["plan"]].memory_bytes / (1 << 20)
        assert settings.memory_limit_mb == memory
        assert services[name]["maxShutdownDelaySeconds"] >= settings.drain_seconds + 10


def test_compose_has_two_of_each_role_and_each_is_read_by_the_settings() -> None:
    services = {name: one for name, one in compose().items() if "build" in one}
    settings = {name: read(one["environment"]) for name, one in services.items()}
    assert {one.role for one in settings.values()} <= set(ROLES)
    roles = sorted(settings[name].role for name in services if name != "tables")
    assert roles == ["api", "api", "worker", "worker"]
    workers = [one for one in settings.values() if one.role == "worker"]
    assert sum(one.slots for one in workers) == workers[0].max_processing
    assert {name: command(one["command"]) for name, one in services.items()} == {
        name: "migrate" if name == "tables" else "start" for name in services
    }


def test_what_compose_adds_for_redis_is_for_every_process_and_read_by_the_settings() -> None:
    added = yaml.safe_load((ROOT / "compose.redis.yaml").read_text())["services"]
    processes = {name for name, one in compose().items() if "build" in one and name != "tables"}
    assert added.keys() == processes | {"queue"}
    for name in processes:
        settings = read({**compose()[name]["environment"], **added[name]["environment"]})
        assert settings.queue_url is not None
        assert settings.queue_url.get_secret_value() == "redis://queue:6379/0"
        assert added[name]["depends_on"]["queue"]["condition"] == "service_healthy"


def test_compose_reaches_the_servers_that_it_starts_with_the_keys_that_they_know() -> None:
    text = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = text["services"]
    shared = services["api-1"]["environment"]
    server = services["database"]["environment"]
    assert shared["DATABASE_URL"] == (
        f"postgresql://{server['POSTGRES_USER']}:{server['POSTGRES_PASSWORD']}"
        f"@database/{server['POSTGRES_DB']}"
    )
    assert shared["AWS_ENDPOINT_URL"].startswith("http://store:")
    (identity,) = yaml.safe_load(text["configs"]["s3"]["content"])["identities"]
    assert identity["credentials"] == [
        {"accessKey": shared["AWS_ACCESS_KEY_ID"], "secretKey": shared["AWS_SECRET_ACCESS_KEY"]}
    ]
