"""HTTP: routes, uploads, errors as problem+json; all that knows FastAPI."""
