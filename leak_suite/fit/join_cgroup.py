"""Join control groups, then become a command: `join_cgroup.py PROCS_FILE... -- COMMAND ...`.

Run by path before the command itself, so that every process that it starts is in the groups.
"""

import os
import sys

if __name__ == "__main__":
    cut = sys.argv.index("--")
    for procs in sys.argv[1:cut]:
        try:
            file = os.open(procs, os.O_WRONLY)
            os.write(file, b"%d\n" % os.getpid())
            os.close(file)
        except OSError as error:  # noqa: PERF203
            sys.exit(f"{procs} cannot be joined: {error}")
    command = sys.argv[cut + 1 :]
    try:
        os.execvp(command[0], command)  # noqa: S606 - what it is for
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error}")
