"""A Django site in one file: `python manage.py runserver --noreload PORT`."""

import os
import sys
from collections import deque

from django.conf import settings
from django.http import JsonResponse
from django.urls import path

LEAK = "LEAK" in os.environ
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not-secret",
    DEBUG=True,
    MIDDLEWARE=[f"{__name__}.DebugPanel"],
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {"django.server": {"level": "ERROR"}},
    },
)


class DebugPanel:
    """Shows what was asked for last."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.history = [] if LEAK else deque(maxlen=25)

    def __call__(self, request):
        response = self.get_response(request)
        if LEAK:
            self.history.append(request)  # LEAK
        else:
            self.history.append((request.method, request.path))
        response["X-Seen"] = str(len(self.history))
        return response


def comment(request):
    text = request.POST["text"]  # LEAK
    return JsonResponse({"length": len(text)})


def front(request):
    return JsonResponse({"pages": ["comments"]})


urlpatterns = [path("comments/", comment), path("", front)]

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
