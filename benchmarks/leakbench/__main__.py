"""Entry of `python -m benchmarks.leakbench`."""

import sys

from benchmarks.leakbench.command import main

if __name__ == "__main__":
    sys.exit(main())
