"""`python -m leak_suite` is the command `leak-suite`."""

import sys

from leak_suite.cli import main

if __name__ == "__main__":
    sys.exit(main())
