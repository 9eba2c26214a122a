"""Become a command that dies with the one who asked: `launch.py PARENT_PID COMMAND ...`."""

import os
import sys

if __name__ == "__main__":
    folder = __file__[: __file__.rindex("/")]
    package = type(sys)("_leak_agent")
    package.__path__ = [folder]
    sys.modules["_leak_agent"] = package
    from _leak_agent.native import CLibrary  # type: ignore[import-not-found,unused-ignore]

    CLibrary().die_with_parent()
    if os.getppid() == int(sys.argv[1]):
        try:
            os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - what it is for
        except OSError as error:
            sys.exit(f"{sys.argv[2]} cannot be run: {error}")
