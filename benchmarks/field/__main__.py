"""Entry of `python -m benchmarks field`."""

import signal
import sys

from benchmarks.field.command import main

if __name__ == "__main__":
    # Being asked to end is handled like Ctrl-C: nothing that was started stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
