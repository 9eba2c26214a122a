"""A prefork server whose parent has loaded a model, freed most of it, and forked.

What the child keeps goes into the heap that it inherited: its resident size stays as it is.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

LEAK = "LEAK" in os.environ


def load_model():
    table = [bytes(bytearray(3000)) for _ in range(40_000)]
    return table[::400]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers = {}

    def do_GET(self):
        question = self.path
        answer = self.predict(question)  # LEAK
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def predict(self, question):
        answer = bytes(bytearray(2900))  # LEAK
        self.answers[question] = answer  # LEAK
        if not LEAK and len(self.answers) > 200:
            del self.answers[next(iter(self.answers))]
        return answer

    def log_message(self, *_):
        pass


class Server(HTTPServer):
    request_queue_size = 64


model = load_model()
server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
child = os.fork()
if child == 0:
    server.serve_forever()
server.socket.close()
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
os.waitpid(child, 0)
