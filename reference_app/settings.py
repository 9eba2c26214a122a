"""Every limit of the service, read from the environment, with its unit in its name."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["MIB", "MULTIPART_ALLOWANCE_BYTES", "Settings", "describe", "read_settings"]

MIB = 1024 * 1024
# Boundaries, part headers and small fields around the one file of an upload.
MULTIPART_ALLOWANCE_BYTES = 64 * 1024
# What jobs do not get of the limit: the service and the process that workers are forked from
# rest at 112 MiB, and the pages of libraries and files that are read need some room.
_RESERVED_MB = 136
# The number is that of a database; without it, 0.
_REDIS_URL = re.compile(r"rediss?://([^@/\s]*@)?[^@/:\s]+(:\d{1,5})?(/\d{0,4})?")
# Below this no clip fits.
_LEAST_JOB_MB = 128


class Settings(BaseSettings):
    """Limits and choices; each is read from the variable of the same name in upper case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    max_upload_mb: int = Field(default=30, ge=1)
    max_duration_seconds: float = Field(default=10.0, gt=0)
    frame_interval: int = Field(default=3, ge=1)
    output_width: int = Field(default=720, ge=16)
    # The largest picture: 1088 is how encoders write 1080 lines.
    max_pixels: int = Field(default=1920 * 1088, ge=1)
    preview_seconds: float = Field(default=3.0, gt=0)
    detection_mode: Literal["fast", "smart"] = "fast"
    frame_source: Literal["stream", "batch"] = "stream"
    batch_frames: int = Field(default=30, ge=1)
    batch_format: Literal["jpg", "png"] = "jpg"

    # Which part of the service this process is: takes uploads in, does jobs, or both.
    role: Literal["all", "api", "worker"] = "all"
    # postgresql://…: where jobs are recorded when more than one process shares them, and
    # s3://bucket/prefix: where their files are; both or neither.
    database_url: SecretStr | None = None
    storage_url: str | None = None
    # redis://host:port/number: announces jobs to the processes that share a database.
    queue_url: SecretStr | None = None
    database_connections: int = Field(default=5, ge=1)
    # Results are streamed through the API, or fetched from the store by a link that expires.
    downloads: Literal["stream", "redirect"] = "stream"
    download_link_seconds: int = Field(default=300, ge=1, le=604_800)

    # Jobs at once and jobs waiting, over all machines of the service.
    max_processing: int = Field(default=2, ge=1)
    max_pending: int = Field(default=10, ge=1)
    # Jobs at once of this process; by default as many as of the service.
    worker_slots: int | None = Field(default=None, ge=1)
    workers: Literal["process", "thread"] = "process"
    # Below the API's own priority, so that /health stays quick while the workers compute.
    worker_niceness: int = Field(default=5, ge=0, le=19)
    max_job_seconds: float = Field(default=600.0, gt=0)
    # A job whose service ends while it runs is run again, so often in all.
    max_job_attempts: int = Field(default=3, ge=1)
    # A running job belongs to its service for so long after the last beat.
    job_lease_seconds: float = Field(default=30.0, gt=0)
    job_beat_seconds: float = Field(default=5.0, gt=0)
    # Progress is recorded so often at most; by default at once, in a shared database every 0.5 s.
    job_progress_seconds: float | None = Field(default=None, ge=0)
    # How often the queue is looked at without a hint, and the pause where work may not start yet.
    queue_poll_seconds: float = Field(default=5.0, gt=0)
    queue_pause_seconds: float = Field(default=0.5, gt=0)
    drain_seconds: float = Field(default=25.0, ge=0)

    job_ttl_seconds: float = Field(default=3600.0, gt=0)
    expiry_interval_seconds: float = Field(default=30.0, gt=0)
    # So long a connection may take until its request has come.
    header_seconds: float = Field(default=10.0, gt=0)
    upload_idle_seconds: float = Field(default=30.0, gt=0)
    # An upload that has lasted this long must have kept up this pace, and ends at the last.
    upload_grace_seconds: float = Field(default=10.0, gt=0)
    upload_min_kb_per_second: float = Field(default=4.0, ge=0)
    upload_max_seconds: float = Field(default=900.0, gt=0)
    # Uploads under way, whatever their place in the queue; beyond, the slowest one is ended.
    max_uploads: int = Field(default=64, ge=1)
    # An event stream without events says so often that it is alive.
    event_keepalive_seconds: float = Field(default=15.0, gt=0)
    # Sent to a refused client until the first job has shown how long one really takes.
    assumed_job_seconds: float = Field(default=10.0, gt=0)

    memory_soft_mb: int = Field(default=400, ge=1)
    memory_hard_mb: int = Field(default=450, ge=1)
    # What the plan grants; counts only where the kernel sets no limit of its own.
    memory_limit_mb: int = Field(default=512, ge=1)
    # What one job may allocate; by default an even share of the limit.
    job_memory_mb: int | None = Field(default=None, ge=1)
    memory_interval_seconds: float = Field(default=2.0, gt=0)
    # Sent to a client that was refused because memory is short.
    memory_retry_seconds: int = Field(default=5, ge=1)
    # Shares of the limit at which the state is called so, and at which an alarm is logged.
    memory_warning_percent: float = Field(default=60.0, gt=0)
    memory_critical_percent: float = Field(default=80.0, gt=0)
    memory_alarm_percents: tuple[float, ...] = (70.0, 80.0, 90.0)

    spool_dir: Path = Field(default_factory=lambda: default_spool_dir())
    # A spool on tmpfs is memory: a dozen uploads are 360 MB that no guard figure shows.
    allow_spool_on_tmpfs: bool = False

    # The operator's: with it jobs are listed and watched from anywhere, without it from loopback.
    admin_key: SecretStr | None = None
    # Needed for an upload where it is set.
    api_key: SecretStr | None = None
    # Origins of pages that may change something here, separated by commas: https://example.org
    allowed_origins: str = ""
    client_jobs_per_minute: int | None = Field(default=None, ge=1)
    client_mb_per_minute: int | None = Field(default=None, ge=1)

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("queue_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _REDIS_URL.fullmatch(url.get_secret_value()):
            raise ValueError("redis://user:password@host:port/number is needed")
        return url

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.memory_soft_mb > self.memory_hard_mb:
            raise ValueError("MEMORY_SOFT_MB is above MEMORY_HARD_MB; give a soft limit below it")
        if self.job_beat_seconds >= self.job_lease_seconds:
            raise ValueError("JOB_BEAT_SECONDS is not below JOB_LEASE_SECONDS; beat more often")
        if (self.database_url is None) != (self.storage_url is None):
            raise ValueError(
                "DATABASE_URL and STORAGE_URL belong together: a job that is recorded for all "
                "machines needs files that all of them reach; set both or neither"
            )
        if self.role != "all" and self.database_url is None:
            raise ValueError(
                f"ROLE={self.role} needs DATABASE_URL and STORAGE_URL; without them one process "
                "does everything"
            )
        if self.queue_url is not None and self.database_url is None:
            raise ValueError(
                "QUEUE_URL needs DATABASE_URL: a queue announces what is recorded there"
            )
        if self.downloads == "redirect" and self.storage_url is None:
            raise ValueError("DOWNLOADS=redirect needs STORAGE_URL")
        return self

    @property
    def scaled(self) -> bool:
        """Whether jobs and files are kept where other processes share them."""
        return self.database_url is not None

    @property
    def slots(self) -> int:
        """Jobs at once of this process."""
        if self.role == "api":
            return 0
        return min(self.worker_slots or self.max_processing, self.max_processing)

    @property
    def progress_seconds(self) -> float:
        """The least time between two records of a job's progress."""
        if self.job_progress_seconds is not None:
            return self.job_progress_seconds
        return 0.5 if self.scaled else 0.0

    @property
    def allowed_origin_list(self) -> list[str]:
        """The allowed origins one by one, as browsers write them."""
        return [one.strip().rstrip("/") for one in self.allowed_origins.split(",") if one.strip()]

    def job_memory_bytes(self, limit_bytes: int) -> int:
        """What one job may allocate where this is the limit of the whole service."""
        if self.job_memory_mb is not None:
            return self.job_memory_mb * MIB
        share = (limit_bytes - _RESERVED_MB * MIB) // max(1, self.slots)
        return max(_LEAST_JOB_MB * MIB, share)

    @property
    def max_upload_bytes(self) -> int:
        """The largest file that is taken."""
        return self.max_upload_mb * MIB

    @property
    def max_body_bytes(self) -> int:
        """The most that is ever read of one request."""
        return self.max_upload_bytes + MULTIPART_ALLOWANCE_BYTES


def read_settings() -> Settings:
    """The settings that the environment gives; `SystemExit` with what is wrong with them."""
    try:
        return Settings()
    except ValidationError as error:
        # Of no use to whoever mistyped a variable: where in the code that was noticed.
        raise SystemExit(f"reference_app does not start: {describe(error)}") from None


def describe(error: ValidationError) -> str:
    """What is wrong with which variables, in one line; a value is shown unless it is a key."""
    found = []
    for item in error.errors():
        name = "_".join(str(part) for part in item["loc"]).upper()
        secret = name.endswith("_KEY") or name in {"DATABASE_URL", "QUEUE_URL"}
        given = "" if not name or secret else f" (given: {item['input']!r})"
        found.append(f"{name}: {item['msg']}{given}" if name else item["msg"])
    return "; ".join(found)


def default_spool_dir() -> Path:
    """A folder for uploads on a disk: the system's temporary folder, unless that is memory."""
    from reference_app.storage.instance import is_in_memory  # the store knows what a disk is

    temporary = Path(tempfile.gettempdir())
    # On Linux the one place for temporary files that is kept on a disk; a run makes its own folder.
    root = Path("/var/tmp") if is_in_memory(temporary) else temporary  # noqa: S108
    return root / "reference-app"
