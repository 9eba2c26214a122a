"""The pages of the site."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path


def article(request: HttpRequest, number: int) -> JsonResponse:
    """One article."""
    return JsonResponse({"number": number, "reader": request.GET.get("reader", "")})


urlpatterns = [path("articles/<int:number>/", article)]
