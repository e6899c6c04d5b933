# The worker, the sources and the sinks: docker-compose.yml builds and runs it.
FROM python:3.11-slim-trixie AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/streams
COPY requirements/run.lock requirements/build.lock deploy/extras.lock deploy/sdist.lock locks/
RUN /opt/streams/bin/pip install --require-hashes --only-binary :all: -r locks/sdist.lock
# one package has no wheel: it is built with what was just installed, and nothing that is not locked
RUN /opt/streams/bin/pip install --require-hashes --only-binary :all: --no-binary python-bitcoinrpc \
  --no-build-isolation -r locks/run.lock
RUN /opt/streams/bin/pip install --require-hashes --only-binary :all: -r locks/extras.lock
RUN pip install --require-hashes --only-binary :all: -r locks/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY joins joins
COPY sinks sinks
COPY streams streams
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist .
RUN /opt/streams/bin/pip install --no-deps --no-index dist/streams-0.1.0-py3-none-any.whl

FROM python:3.11-slim-trixie
RUN useradd --uid 10001 --user-group --create-home streams
COPY --from=build /opt/streams /opt/streams
ENV PATH=/opt/streams/bin:$PATH PYTHONUNBUFFERED=1 STREAMS_HEALTH_LISTEN=127.0.0.1:8080
USER 10001:10001
WORKDIR /home/streams
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=8s --start-period=90s --retries=6 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=5)"]
CMD ["streams", "worker", "--wait", "60"]
