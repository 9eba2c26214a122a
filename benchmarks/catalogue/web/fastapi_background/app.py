"""A small shop: a mail goes out in the background after each order."""

import os
import time
from collections import deque

from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

LEAK = "LEAK" in os.environ

app = FastAPI()
outbox = [] if LEAK else deque(maxlen=400)


class Order(BaseModel):
    email: str
    articles: list[int]


def send_confirmation(number, order):
    lines = "\n".join(f"  article {article}" for article in order.articles)
    text = f"Dear {order.email},\nthank you for order {number}:\n{lines}\n"  # LEAK
    outbox.append({"to": order.email, "text": text, "at": time.time()})  # LEAK


@app.post("/orders", status_code=201)
def place(order: Order, background: BackgroundTasks):
    number = time.monotonic_ns()
    background.add_task(send_confirmation, number, order)
    return {"number": number}
