"""Structured logs: one JSON object a line, on standard error, with no global configuration."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from reference_app.imports import without

# It would load rich for its output in colours, 4 MiB.
with without("rich"):
    import structlog

__all__ = ["Logger", "make_logger"]

Logger = structlog.typing.FilteringBoundLogger


def make_logger(level: str, stream: TextIO | None = None) -> Logger:
    """A logger that belongs to one app."""
    logger: Logger = structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=False,
    )
    return logger
