# One image per service, and `fanout`, which watches an endpoint by itself: `make images`, or
# docker build --target producer (consumer, viewer, fanout) .
# It uses no BuildKit syntax, so that the legacy builder and podman can build it too.
ARG BASE=python:3.13-slim

# Common to all images. Rebuilt only when the base image or requirements/services.txt changes.
FROM ${BASE} AS common
# curl is for `kubectl exec POD -- curl http://0.0.0.0:5000/health` and the health checks of compose.yaml.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends curl \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin fanout
WORKDIR /app
# Wheels only, so that no compiler is needed.
COPY requirements/services.txt ./requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
    --require-hashes --only-binary :all: --requirement requirements.txt
# HOST: on loopback, nothing outside the container could connect. PYTHONDONTWRITEBYTECODE: the bytecode is compiled
# below, because the root file system is read-only at run time.
ENV HOST=0.0.0.0 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 5000

FROM common AS producer
COPY pipeline/ pipeline/
COPY producer/ producer/
RUN python -m compileall -q pipeline producer
# Numeric, because Kubernetes cannot check runAsNonRoot for a user name.
USER 10001:10001
# Without a shell, so that SIGTERM reaches the process.
CMD ["python", "-m", "producer"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Fanout producer" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

FROM common AS consumer
COPY pipeline/ pipeline/
COPY consumer/ consumer/
RUN python -m compileall -q pipeline consumer
USER 10001:10001
CMD ["python", "-m", "consumer"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Fanout consumer" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

FROM common AS viewer
# The web server, which the other services do not use.
COPY requirements/viewer.txt ./requirements-viewer.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
    --require-hashes --only-binary :all: --requirement requirements-viewer.txt
COPY pipeline/ pipeline/
COPY viewer/ viewer/
RUN python -m compileall -q pipeline viewer
USER 10001:10001
CMD ["python", "-m", "viewer"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Fanout viewer" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

# What `make watch` starts, in one container: PostgreSQL, the consumer on the tap, and the viewer.
FROM common AS fanout
COPY requirements/watch.txt ./requirements-watch.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
    --require-hashes --only-binary :all: --requirement requirements-watch.txt
COPY pipeline/ pipeline/
COPY consumer/ consumer/
COPY viewer/ viewer/
COPY local/ local/
COPY postgres-init/ postgres-init/
# A volume that is made for it takes over the owner of /data.
RUN python -m compileall -q pipeline consumer viewer local \
 && install --directory --owner=10001 --group=10001 --mode=700 /data
ENV RUN_FOLDER=/data VIEWER_HOST=0.0.0.0
VOLUME /data
USER 10001:10001
CMD ["python", "-m", "local.watch"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Fanout" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
