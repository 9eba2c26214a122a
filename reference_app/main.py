"""What a server loads: the service with the limits that the environment gives."""

from __future__ import annotations

from reference_app.imports import keep_out_old_pydantic
from reference_app.memory.file_pages import release_file_pages

keep_out_old_pydantic()

from reference_app.app import create_app  # noqa: E402
from reference_app.settings import read_settings  # noqa: E402

__all__ = ["app"]

settings = read_settings()
if settings.role == "worker":
    raise SystemExit("ROLE=worker serves nothing: start it with `python -m reference_app`")

app = create_app(settings)
release_file_pages()
