"""The pages of the site."""

from django.urls import path
from views import newsletter, price

urlpatterns = [path("newsletters/", newsletter), path("prices/<int:article>/", price)]
