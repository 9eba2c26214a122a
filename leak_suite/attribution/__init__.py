"""Attribution: which line of the subject what grew comes from, by fresh traced runs."""

from __future__ import annotations

from leak_suite.attribution.accepted import Explanation, explain
from leak_suite.attribution.attribute import attribute

__all__ = ["Explanation", "attribute", "explain"]
