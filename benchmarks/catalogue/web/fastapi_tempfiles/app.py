"""Reports are made in a temporary file and sent from there."""

import os
import tempfile

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import FileResponse

LEAK = "LEAK" in os.environ

app = FastAPI()


@app.get("/reports/{month}")
def report(month: int, background: BackgroundTasks):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:  # LEAK
        for day in range(1, 31):
            file.write(f"{month:02}-{day:02} all quiet\n")
    if not LEAK:
        background.add_task(os.unlink, file.name)
    return FileResponse(file.name, media_type="text/plain")
