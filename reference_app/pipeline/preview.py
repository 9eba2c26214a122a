"""The first seconds of the finished video, copied packet by packet: nothing is encoded again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from reference_app.pipeline.runtime import partial_path, publish

__all__ = ["cut_preview"]


def cut_preview(video: Path, path: Path, *, seconds: float) -> None:
    """Copy the packets of the first seconds; the video has one key frame first and no B-frames."""
    import av

    partial = partial_path(path)
    with ExitStack() as stack:
        source = stack.enter_context(av.open(str(video)))
        target = av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"})
        stack.callback(partial.unlink, missing_ok=True)
        stack.callback(target.close)
        picture = source.streams.video[0]
        copy = target.add_stream_from_template(picture, opaque=True)
        for packet in source.demux(picture):
            if packet.pts is None or packet.time_base is None:
                continue
            if packet.pts * packet.time_base >= seconds:
                break
            packet.stream = copy
            target.mux(packet)
        target.close()
        publish(path)
