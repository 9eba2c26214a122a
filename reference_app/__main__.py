"""`python -m reference_app`: the role that ROLE names, `migrate`, or `tidy`.

Every worker process imports this file again, so nothing is imported here that it has no use for.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_app.settings import Settings

__all__ = ["main", "parser"]

# Longer than the time after which a refused client comes back: a closing connection loses it.
KEEP_ALIVE_SECONDS = 75


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser("python -m reference_app", description=__doc__)
    made.add_argument(
        "command",
        nargs="?",
        choices=["start", "migrate", "tidy"],
        default="start",
        help=(
            "start the role that ROLE names (the default), bring DATABASE_URL up to date, or "
            "remove once what has expired there"
        ),
    )
    made.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    made.add_argument("--port", default=os.environ.get("PORT", "8000"))
    return made


def main(arguments: list[str] | None = None) -> None:
    """Serve or do jobs until SIGTERM or Ctrl-C; or one command on what all machines share."""
    options = parser().parse_args(arguments)
    from reference_app.imports import keep_out_old_pydantic
    from reference_app.memory.file_pages import release_file_pages
    from reference_app.settings import read_settings

    keep_out_old_pydantic()
    settings = read_settings()
    if options.command == "migrate":
        _migrate(settings)
    elif options.command == "tidy":
        _tidy(settings)
    elif settings.role == "worker":
        from reference_app import worker_service

        release_file_pages()
        worker_service.run(settings)
    else:
        if not options.port.isdecimal() or not 0 < int(options.port) < 65536:
            raise SystemExit(
                f"reference_app does not start: PORT: a number from 1 to 65535 is needed "
                f"(given: {options.port!r})"
            )
        import uvicorn

        from reference_app.app import create_app

        app = create_app(settings)
        release_file_pages()
        uvicorn.run(
            app,
            host=options.host,
            port=int(options.port),
            # WEB_CONCURRENCY would be taken in its place, as some platforms set it.
            workers=1,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            access_log=False,
        )


def _migrate(settings: Settings) -> None:
    import asyncio

    from reference_app.errors import StartupError

    if settings.database_url is None:
        raise SystemExit("there is nothing to migrate: DATABASE_URL is not set")
    try:
        from reference_app.jobs.postgres_store import migrate

        before, after = asyncio.run(migrate(settings.database_url.get_secret_value()))
    except ModuleNotFoundError as error:
        raise SystemExit(f"DATABASE_URL needs the extra `scale`: {error}") from None
    except StartupError as error:
        raise SystemExit(f"not migrated: {error}") from None
    print(f"the tables have version {after}" + (f" (before: {before})" if before != after else ""))


def _tidy(settings: Settings) -> None:
    if not settings.scaled:
        raise SystemExit("there is nothing to tidy up: DATABASE_URL is not set")
    from reference_app import worker_service

    worker_service.tidy(settings)


if __name__ == "__main__":
    main()
