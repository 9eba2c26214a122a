"""Mako: a template of its own text is compiled and rendered."""

from itertools import count

from mako.template import Template

NUMBERS = count()


def job() -> None:
    """One template's life."""
    text = f"<h1>{next(NUMBERS)}</h1>\n% for i in items:\n${{i.upper()}}\n% endfor\n"
    assert "ITEM" in Template(text).render(items=["item"] * 5)
