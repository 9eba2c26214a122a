"""The agent's door: `python path/to/agent/__main__.py KEY=VALUE ...`, run by the host."""

import sys


def _package() -> None:
    """Make these files importable as `_leak_agent`, whatever else the subject's path holds."""
    folder = __file__[: __file__.rindex("/")] if "/" in __file__ else "."
    if sys.path and sys.path[0] == folder:
        del sys.path[0]
    if "_leak_agent" in sys.modules:  # our `sitecustomize` was here before
        return
    package = type(sys)("_leak_agent")
    package.__path__ = [folder]
    sys.modules["_leak_agent"] = package


if __name__ == "__main__":
    _package()
    from _leak_agent.serve import main  # type: ignore[import-not-found,unused-ignore]

    main(sys.argv[1:])
