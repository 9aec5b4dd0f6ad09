# marketd in a container: docker build -t marketd . ; docs/deploy.md goes through it.
# The base is a Python of Debian's; another one, or the same by its digest: --build-arg PYTHON=...
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-dev.lock ./
# Every package by its hash and none built from source, the build backend too. Where packages come from is the machine's
# business: --secret id=pip.conf,src=... gives its settings to these steps, and they stay out of the image.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python -m venv /opt/marketd && python -m venv /opt/backend \
    && awk '/^[a-z]/ {wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} wanted' requirements-dev.lock > backend.lock \
    && /opt/backend/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement backend.lock \
    && /opt/marketd/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement requirements.lock
# The dashboard, with a Node from a wheel; an image without it would be a mistake, so that ends the build.
COPY requirements-node.lock ./
COPY web web
COPY clients/typescript clients/typescript
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=npmrc,target=/root/.npmrc \
    /opt/backend/bin/python web/build.py && test -f src/marketd/web/index.html
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/backend/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/marketd/bin/pip install --quiet --no-index --no-deps dist/*.whl \
    && /opt/marketd/bin/pip uninstall --quiet --yes pip setuptools

FROM ${PYTHON}
LABEL org.opencontainers.image.title="marketd" \
      org.opencontainers.image.description="One daemon for market data: complete, exact and accounted for." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/marketd /opt/marketd
RUN install -d -o 10001 -g 10001 /data
# One port in every container, whichever the profile's own is, so that the health check knows where to ask.
ENV PATH=/opt/marketd/bin:$PATH PYTHONUNBUFFERED=1 \
    MARKETD_DATA_DIR=/data MARKETD_LOG_FORMAT=json HTTP_HOST=0.0.0.0 HTTP_PORT=8100
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ['HTTP_PORT']}/health\", timeout=4)"]
ENTRYPOINT ["marketd"]
CMD ["run"]
