"""The service with the stand-in for the pipeline.

Served by `python -m uvicorn tests.reference_app.stand_in:app`.
"""

from __future__ import annotations

from reference_app.app import create_app
from reference_app.factories import ServiceFactories
from reference_app.settings import Settings
from tests.reference_app.stand_in_engine import make_engine

app = create_app(Settings(), ServiceFactories(engine=make_engine))
