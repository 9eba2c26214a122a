"""Jinja2: a template of its own text is compiled and rendered."""

from itertools import count

from jinja2 import Environment

ENVIRONMENT = Environment(autoescape=True)
NUMBERS = count()


def job() -> None:
    """One template's life."""
    number = next(NUMBERS)
    text = f"<h1>{number}</h1>{{% for i in items %}}{{{{ i|upper }}}}{{% endfor %}}"
    assert "ITEM" in ENVIRONMENT.from_string(text).render(items=["item"] * 5)
