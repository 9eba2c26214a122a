"""The packages of the field study: two releases of each, and how the gate is pointed at them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PACKAGES", "WORKLOADS", "Package"]

WORKLOADS = Path(__file__).with_name("workloads")


@dataclass(frozen=True)
class Package:
    """A package, and the command line that judges it.

    `releases` are the newest at the time of the study and an older one, each as requirements.
    `arguments` are those of `leak-suite run` in the folder of the workloads. `does` says what an
    iteration is. `explained` says of a release, by its version, what an alarm was.
    """

    name: str
    does: str
    releases: tuple[tuple[str, ...], ...]
    arguments: tuple[str, ...]
    explained: tuple[tuple[str, str], ...] = ()

    def version(self, release: tuple[str, ...]) -> str:
        """The version of the package itself."""
        return release[0].partition("==")[2]


def _function(
    name: str, does: str, newest: tuple[str, ...], older: tuple[str, ...], **more: object
) -> Package:
    """A package whose workload is a function of its own file."""
    target = f"use_{name.lower().replace('-', '_')}.py:job"
    return Package(name, does, (newest, older), (target,), **more)  # type: ignore[arg-type]


PACKAGES = (
    # HTTP clients, against a server in a process of its own
    _function(
        "httpx", "a client made, three GETs and a POST, closed",
        ("httpx==0.28.1",), ("httpx==0.27.0",),
    ),
    _function(
        "requests", "a session made, three GETs and a POST, closed",
        ("requests==2.34.2",), ("requests==2.28.2", "urllib3<2"),
    ),
    _function(
        "urllib3", "a pool made, three GETs and a POST, cleared",
        ("urllib3==2.8.0",), ("urllib3==1.26.12",),
    ),
    # HTTP servers and frameworks, in a process of their own
    Package(
        "aiohttp", "a GET, a POST and a 404 against its server",
        (("aiohttp==3.14.5",), ("aiohttp==3.9.5",)),
        ("--workload", "visits.py:visit", "--", "python", "serve_aiohttp.py", "{port}"),
    ),
    Package(
        "Flask", "a GET with a template, a POST and a 404 against its threaded server",
        (("flask==3.1.3",), ("flask==2.2.2", "werkzeug<3")),
        ("--workload", "visits.py:visit", "--", "python", "serve_flask.py", "{port}"),
    ),
    Package(
        "Django", "a GET with the ORM and a template, a POST and a 404 against its WSGI app",
        (("django==5.2.19",), ("django==4.1.3",)),
        ("--workload", "visits.py:visit", "--", "python", "serve_django.py", "{port}"),
    ),
    Package(
        "Starlette", "a GET, a POST and a 404 under uvicorn",
        (("starlette==1.10.0", "uvicorn", "httpx"), ("starlette==0.27.0", "uvicorn", "httpx")),
        ("--app", "serve_starlette.py:app", "--workload", "visits.py:visit"),
    ),
    Package(
        "websockets", "a connection made, ten messages echoed, closed",
        (("websockets==17.4",), ("websockets==10.4",)),
        ("use_websockets.py:job",),
    ),
    # databases
    _function(
        "SQLAlchemy", "a session: ten rows added, joined, queried, deleted",
        ("sqlalchemy==2.1.9",), ("sqlalchemy==2.0.0",),
    ),
    _function(
        "peewee", "ten rows added, joined, queried, deleted",
        ("peewee==4.5.3",), ("peewee==3.15.4",),
    ),
    # templates and parsers
    _function(
        "Jinja2", "a template from a string compiled and rendered",
        ("jinja2==3.1.6",), ("jinja2==3.0.3",),
    ),
    _function(
        "Mako", "a template from a string compiled and rendered",
        ("mako==1.4.3",), ("mako==1.2.0",),
    ),
    _function(
        "lxml", "a document parsed, searched by XPath, transformed, written; a broken one refused",
        ("lxml==6.1.3",), ("lxml==4.9.2",),
    ),
    _function(
        "beautifulsoup4", "a page parsed, searched and changed",
        ("beautifulsoup4==4.15.0",), ("beautifulsoup4==4.11.1",),
    ),
    _function(
        "PyYAML", "a document dumped, loaded; a broken one refused",
        ("pyyaml==6.0.4",), ("pyyaml==6.0.1",),
    ),
    _function(
        "Markdown", "a text with tables and code converted",
        ("markdown==3.11.3",), ("markdown==3.4.1",),
    ),
    _function(
        "Pygments", "a source highlighted, in a lexer found by name",
        ("pygments==2.21.0",), ("pygments==2.14.0",),
    ),
    # data
    _function(
        "Pillow", "a picture drawn, resized, saved as JPEG and PNG, loaded; a broken one refused",
        ("pillow==13.0.0",), ("pillow==9.4.0",),
    ),
    _function(
        "pandas", "a frame made, grouped, merged, written as CSV and read",
        ("pandas==3.1.1",), ("pandas==1.5.3", "numpy<2"),
        explained=(
            ("1.5.3", "a leak: `TextReader` in `parsers.pyx` takes a reference to the bytes of "
             "`encoding_errors` and never gives it back, one object each `read_csv`; newer ones "
             "do not"),
        ),
    ),
    _function(
        "openpyxl", "a workbook written and read",
        ("openpyxl==3.1.5",), ("openpyxl==3.0.10",),
    ),
    _function(
        "orjson", "a document dumped and loaded; a broken one refused",
        ("orjson==3.13.0",), ("orjson==3.8.5",),
    ),
    _function(
        "msgpack", "a document packed, streamed and unpacked; a broken one refused",
        ("msgpack==1.2.4",), ("msgpack==1.0.5",),
        explained=(
            ("1.0.5", "a leak: where `unpackb` meets the end too early, `unpack_clear` in "
             "`unpack_template.h` frees the outermost container alone, and those begun inside it "
             "stay: 83 blocks a call up to 1.1.2, 1 in 1.2.0, none from 1.2.1 on"),
        ),
    ),
    _function(
        "pydantic", "a nested model validated, dumped; a wrong one refused",
        ("pydantic==2.14.4",), ("pydantic==1.10.13",),
    ),
    _function(
        "cryptography", "a text encrypted, signed and verified; a wrong signature refused",
        ("cryptography==50.0.2",), ("cryptography==39.0.0",),
    ),
    _function(
        "protobuf", "a message built, serialised, parsed, as JSON; a broken one refused",
        ("protobuf==7.36.2",), ("protobuf==4.21.12",),
    ),
    _function(
        "networkx", "a graph made, its paths and parts",
        ("networkx==3.6.1",), ("networkx==3.0",),
    ),
    # queues
    _function(
        "kombu", "messages published and consumed, in memory",
        ("kombu==5.7.0",), ("kombu==5.2.4",),
    ),
    _function(
        "dramatiq", "messages sent to a worker in this process, and done",
        ("dramatiq==2.2.1",), ("dramatiq==1.14.2",),
    ),
)  # fmt: skip
"""In the order of the page."""
