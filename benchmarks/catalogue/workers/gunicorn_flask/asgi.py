"""The same application for workers that speak ASGI."""

from a2wsgi import WSGIMiddleware
from app import app as flask_app

app = WSGIMiddleware(flask_app)
