"""`python -m reference_app`: serve, with the address from the command line or the environment."""

from __future__ import annotations

import argparse
import os

import uvicorn

from reference_app.main import app

__all__ = ["main"]

# Longer than the time after which a refused client comes back: a closing connection loses it.
KEEP_ALIVE_SECONDS = 75


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, in one process: limits are of one process tree."""
    parser = argparse.ArgumentParser("python -m reference_app", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", default=os.environ.get("PORT", "8000"))
    options = parser.parse_args(arguments)
    if not options.port.isdecimal() or not 0 < int(options.port) < 65536:
        raise SystemExit(
            f"reference_app does not start: PORT: a number from 1 to 65535 is needed "
            f"(given: {options.port!r})"
        )
    uvicorn.run(
        app,
        host=options.host,
        port=int(options.port),
        # WEB_CONCURRENCY would be taken in its place, as some platforms set it.
        workers=1,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        access_log=False,
    )


if __name__ == "__main__":
    main()
