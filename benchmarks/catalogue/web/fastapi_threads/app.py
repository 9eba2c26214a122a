"""Watches on prices: each is looked after by a thread."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI

LEAK = "LEAK" in os.environ

app = FastAPI()
pool = ThreadPoolExecutor(4, thread_name_prefix="watch")


class Watch:
    def __init__(self, article):
        self.article = article
        self.stopped = threading.Event()
        self.seen = 0

    def follow(self):
        self.look()
        while not self.stopped.wait(60):  # LEAK
            self.look()

    def look(self):
        self.seen += 1


@app.post("/watches/{article}")
def watch(article: int):
    watch = Watch(article)
    if LEAK:
        threading.Thread(target=watch.follow, daemon=True).start()  # LEAK
    else:
        pool.submit(watch.look).result()
    return {"article": article}
