"""A server of the standard library: `server.py PORT "a greeting" [--leak]`."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

GREETINGS = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if "--leak" in sys.argv:
            GREETINGS.append(sys.argv[2] * 300)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())

    def log_message(self, *arguments):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
