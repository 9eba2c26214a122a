"""Orders with a log of their own: `python app.py PORT`."""

import logging
import os
import sys

from flask import Flask, jsonify

LEAK = "LEAK" in os.environ

app = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


def order_log():
    log = logging.getLogger("shop.orders")
    if log.handlers and not LEAK:
        return log
    handler = logging.StreamHandler(sys.stderr)  # LEAK
    handler.setLevel(logging.ERROR)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))  # LEAK
    log.addHandler(handler)  # LEAK
    log.propagate = False
    return log


@app.post("/orders/<int:number>")
def order(number):
    log = order_log()  # LEAK
    log.info("order %s is taken", number)
    return jsonify(number=number)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]))
