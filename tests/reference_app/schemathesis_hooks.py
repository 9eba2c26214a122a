"""What generated uploads hold: what the stand-in for the pipeline takes for a video, or not."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from tests.reference_app.stand_in_engine import clip

VIDEOS = st.sampled_from(
    [
        clip("quick"),
        clip("quick", 2000),
        clip("unreadable"),
        clip("broken"),
        clip()[:20],
        b"no video",
    ]
)
KINDS = "mp4 quicktime x-matroska webm x-msvideo mp2t 3gpp"

for kind in KINDS.split():
    schemathesis.openapi.media_type(f"video/{kind}", VIDEOS)
