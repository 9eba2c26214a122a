"""Pages are put into an index."""

import os
import re

LEAK = "LEAK" in os.environ
index = {}


def add(page, text):
    words = re.findall(r"\w+", text)  # LEAK
    if LEAK:
        index[page] = words  # LEAK
    else:
        index[page % 20] = words
    return len(words)
