"""What a server loads: the service with the limits that the environment gives."""

from __future__ import annotations

from reference_app.app import create_app
from reference_app.settings import Settings

__all__ = ["app"]

app = create_app(Settings())
