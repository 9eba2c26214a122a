"""Starts a launcher, which starts the server: what a supervisor and a shell script do."""

import os
import signal
import subprocess
import sys

LAUNCH = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"

launcher = subprocess.Popen(
    [sys.executable, "-c", LAUNCH, "server.py", sys.argv[1]], start_new_session=True
)
signal.signal(signal.SIGTERM, lambda *_: os.killpg(launcher.pid, signal.SIGTERM))
sys.exit(launcher.wait())
