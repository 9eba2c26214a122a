"""Flask behind its own threaded server: a page with a template, a form."""

import logging
import sys

from flask import Flask, render_template_string, request

app = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@app.get("/items/<int:number>")
def item(number: int) -> str:
    """A page that has the number that was asked for."""
    return render_template_string("<h1>{{ number }}</h1>{{ page }}", number=number,
                                  page=request.args["page"])  # fmt: skip


@app.post("/items")
def save() -> str:
    """The name in the form."""
    return request.form["name"]


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
