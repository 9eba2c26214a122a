"""Invoices, added up line by line: `flask --app app run`."""

import os

from flask import Flask, jsonify, request

LEAK = "LEAK" in os.environ

app = Flask(__name__)


class Invoice:
    lines = []

    def __init__(self, customer):
        self.customer = customer
        if not LEAK:
            self.lines = []

    def add(self, article, price):
        text = f"{article:>40} {price:10.2f}"  # LEAK
        self.lines.append((self.customer, text, price))  # LEAK

    @property
    def total(self):
        return sum(price for customer, _, price in self.lines[-60:] if customer == self.customer)


@app.post("/invoices")
def invoice():
    order = request.get_json()
    made = Invoice(order["customer"])
    for article, price in order["lines"]:
        made.add(article, price)
    return jsonify(total=made.total)
