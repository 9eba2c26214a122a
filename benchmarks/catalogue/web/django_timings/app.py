"""A Django site with async views; a middleware keeps how long each page took."""

import os
import time
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path

LEAK = "LEAK" in os.environ
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not-secret",
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        f"{__name__}.TimingMiddleware",
    ],
)


class TimingMiddleware:
    async_capable = True
    sync_capable = False
    timings = {}

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    async def __call__(self, request):
        started = time.perf_counter()
        response = await self.get_response(request)
        page = request.get_full_path() if LEAK else request.resolver_match.route  # LEAK
        times = self.timings.setdefault(page, [])  # LEAK
        times.append(time.perf_counter() - started)  # LEAK
        del times[:-100]
        return response


async def article(request, number):
    return JsonResponse({"number": number, "q": request.GET.get("utm", "")})


urlpatterns = [path("articles/<int:number>/", article)]
app = get_asgi_application()
