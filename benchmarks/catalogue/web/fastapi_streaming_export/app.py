"""Orders as CSV, written out row by row; running exports can be listed."""

import csv
import io
import os
from typing import ClassVar

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

LEAK = "LEAK" in os.environ


class Export:
    """One download, and what of it is written but not yet sent."""

    running: ClassVar[list["Export"]] = []

    def __init__(self, month):
        self.month = month
        self.rows = 0
        self.buffer = io.StringIO()  # LEAK
        Export.running.append(self)  # LEAK

    def chunks(self):
        writer = csv.writer(self.buffer)
        for number in range(150):
            writer.writerow([self.month, number, "paid", "19.90"])  # LEAK
            self.rows += 1
            if self.rows % 50 == 0:
                yield self.buffer.getvalue()
                if not LEAK:
                    self.buffer.seek(0)
                    self.buffer.truncate()
        if not LEAK:
            Export.running.remove(self)


app = FastAPI()


@app.get("/orders.csv")
def orders(month: int = 1):
    export = Export(month)  # LEAK
    return StreamingResponse(export.chunks(), media_type="text/csv")


@app.get("/exports")
def exports():
    return [{"month": export.month, "rows": export.rows} for export in Export.running[:20]]
