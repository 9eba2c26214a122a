"""openpyxl: a workbook is written and read."""

import io

from openpyxl import Workbook, load_workbook


def job() -> None:
    """One workbook's life."""
    book = Workbook()
    for row in range(20):
        book.active.append([row, f"name {row}", row / 3])
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    again = load_workbook(file)
    assert again.active.max_row == 20
    again.close()
