# The reference service in a slim image: headless OpenCV, no GUI or GL library, no compiler.
FROM python:3.11-slim AS environment
COPY requirements/app.txt /tmp/app.txt
RUN python -m venv /opt/app \
    && /opt/app/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/app.txt

FROM python:3.11-slim
# Arenas and thresholds from the first byte of the process; no .pyc files written at run time.
ENV PATH=/opt/app/bin:$PATH \
    MALLOC_ARENA_MAX=1 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    OPENBLAS_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8000
RUN useradd --create-home --uid 1000 service
COPY --from=environment /opt/app /opt/app
WORKDIR /srv
COPY reference_app reference_app
USER service
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=5)"]
# Without a shell, the service is process 1 and hears SIGTERM itself. The port is PORT.
CMD ["python", "-m", "reference_app", "--host", "0.0.0.0"]
