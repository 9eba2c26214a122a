"""`python -m load SCENARIO`: start the service, load it, judge, one exit status."""

from __future__ import annotations

import sys

from load.run import main

if __name__ == "__main__":
    sys.exit(main())
