"""What a server loads: the service with the limits that the environment gives."""

from __future__ import annotations

from pydantic import ValidationError

from reference_app.app import create_app
from reference_app.settings import Settings, describe

__all__ = ["app"]

try:
    settings = Settings()
except ValidationError as error:
    # Of no use to whoever mistyped a variable: where in the code that was noticed.
    raise SystemExit(f"reference_app does not start: {describe(error)}") from None

app = create_app(settings)
