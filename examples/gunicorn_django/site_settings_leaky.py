"""The same settings, with the middleware that leaks."""

from __future__ import annotations

from site_settings import *  # noqa: F403

MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "history_leaky.History"]
