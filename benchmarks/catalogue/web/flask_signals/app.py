"""Baskets that listen for the payment: under gunicorn with threads."""

import os

from blinker import signal
from flask import Flask, jsonify, request

LEAK = "LEAK" in os.environ

app = Flask(__name__)
paid = signal("paid")


class Basket:
    def __init__(self, articles):
        self.articles = articles
        self.notes = [f"article {article} is reserved" for article in articles]  # LEAK
        self.done = False


@app.post("/baskets")
def pay():
    basket = Basket(request.get_json())  # LEAK

    def on_paid(sender):  # LEAK
        if sender is basket:
            basket.done = True

    paid.connect(on_paid, weak=not LEAK)  # LEAK
    paid.send(basket)
    return jsonify(done=basket.done)
