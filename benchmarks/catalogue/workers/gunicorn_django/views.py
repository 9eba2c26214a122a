"""Prices by way of Django's own cache, and newsletters by way of a signal."""

import json
import os

from django.core.cache import cache
from django.dispatch import Signal
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

LEAK = "LEAK" in os.environ
subscribed = Signal()


class Welcome:
    """Sends the first letter as soon as somebody has subscribed."""

    def __init__(self, address, topics):
        self.address = address
        self.letters = [f"Dear {address}, all about {topic}" for topic in topics]  # LEAK
        self.sent = 0

    def send(self, sender, **_):
        if sender == self.address:
            self.sent += len(self.letters)


def price(request, article):
    found = cache.get_or_set(f"price-{article}", lambda: {"article": article, "price": article / 4})
    return JsonResponse(found)


@csrf_exempt
def newsletter(request):
    wish = json.loads(request.body)
    welcome = Welcome(wish["address"], wish["topics"])  # LEAK
    subscribed.connect(welcome.send, weak=not LEAK)  # LEAK
    subscribed.send(wish["address"])
    return JsonResponse({"sent": welcome.sent})
