"""Readings of sensors, each sensor's in a file of its own that stays open for the next one."""

import os
import tempfile
from collections import OrderedDict
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

LEAK = "LEAK" in os.environ
MAX_OPEN = 16
folder = Path(tempfile.mkdtemp())
files = OrderedDict()


def file_of(sensor):
    if sensor in files:
        files.move_to_end(sensor)
        return files[sensor]
    file = (folder / f"{int(sensor) % 64}.csv").open("a")  # LEAK
    files[sensor] = file  # LEAK
    if not LEAK and len(files) > MAX_OPEN:
        files.popitem(last=False)[1].close()
    return file


async def reading(request: Request):
    file = file_of(request.path_params["sensor"])  # LEAK
    file.write(f"{await request.json()}\n")
    file.flush()
    return JSONResponse({"open": len(files)})


app = Starlette(routes=[Route("/sensors/{sensor}", reading, methods=["POST"])])
