"""Settings of a site of two pages."""

from __future__ import annotations

ROOT_URLCONF = "site_urls"
ALLOWED_HOSTS = ["127.0.0.1"]
SECRET_KEY = "only an example"  # noqa: S105
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "history.History"]
