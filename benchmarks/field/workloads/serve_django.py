"""Django behind the standard library's server: the ORM, a template, a form."""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="study",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    LOGGING_CONFIG=None,
)
django.setup()

from django.contrib.auth.models import Group  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.urls import path  # noqa: E402


def item(_: HttpRequest, number: int) -> HttpResponse:
    """A page that has what the database knows."""
    rows = list(Group.objects.filter(pk__lte=number)[:10])
    template = engines["django"].from_string(
        "<h1>{{ number }}</h1>{% for r in rows %}{{ r }}{% endfor %}"
    )
    return HttpResponse(template.render({"number": number, "rows": rows}))


def save(request: HttpRequest) -> HttpResponse:
    """A row added and removed."""
    group = Group.objects.create(name=request.POST["name"])
    group.delete()
    return HttpResponse(request.POST["name"])


urlpatterns = [path("items/<int:number>", item), path("items", save)]


class Quiet(WSGIRequestHandler):
    """Log nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    application = get_wsgi_application()
    call_command("migrate", verbosity=0)
    connection.ensure_connection()
    make_server("127.0.0.1", int(sys.argv[1]), application, handler_class=Quiet).serve_forever()
