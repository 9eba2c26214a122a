"""Pillow: a picture is drawn, resized, saved and loaded; a broken one is refused."""

import contextlib
import io

from PIL import Image, ImageDraw, ImageFilter, UnidentifiedImageError


def job() -> None:
    """One picture's life."""
    with Image.new("RGB", (320, 240), "white") as picture:
        ImageDraw.Draw(picture).ellipse((20, 20, 200, 200), fill="red")
        small = picture.resize((160, 120)).filter(ImageFilter.BLUR)
        for form in ("JPEG", "PNG"):
            file = io.BytesIO()
            small.save(file, form)
            file.seek(0)
            with Image.open(file) as again:
                assert again.size == (160, 120)
                again.load()
    with contextlib.suppress(UnidentifiedImageError):
        Image.open(io.BytesIO(b"no picture"))
