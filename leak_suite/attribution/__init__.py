"""Attribution: which line of the subject what grew comes from, traced while it runs."""

from __future__ import annotations

from leak_suite.attribution.accepted import Acceptance, explain
from leak_suite.attribution.attribute import attribute, attribute_afresh, memray_path

__all__ = ["Acceptance", "attribute", "attribute_afresh", "explain", "memray_path"]
