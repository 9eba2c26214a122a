"""A process that only does jobs, with the stand-in for the pipeline; see `stand_in`."""

from __future__ import annotations

from reference_app import worker_service
from reference_app.factories import ServiceFactories
from reference_app.settings import read_settings
from tests.reference_app.stand_in_engine import make_engine

if __name__ == "__main__":
    worker_service.run(read_settings(), ServiceFactories(engine=make_engine))
