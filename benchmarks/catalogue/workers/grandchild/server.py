"""Votes, counted; a thread for each connection."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LEAK = "LEAK" in os.environ


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counts = {}
    ballots = []

    def do_POST(self):
        ballot = json.loads(self.rfile.read(int(self.headers["Content-Length"])))  # LEAK
        for choice in ballot["choices"]:
            self.counts[choice] = self.counts.get(choice, 0) + 1
        if LEAK:
            self.ballots.append(ballot)  # LEAK
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
