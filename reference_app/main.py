"""What a server loads: the service with the limits that the environment gives."""

from __future__ import annotations

from reference_app.app import create_app
from reference_app.settings import read_settings

__all__ = ["app"]

settings = read_settings()
if settings.role == "worker":
    raise SystemExit("ROLE=worker serves nothing: start it with `python -m reference_app`")

app = create_app(settings)
