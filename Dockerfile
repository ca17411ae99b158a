# One image per service: `make images`, or docker build --target producer (consumer, viewer) .
# Plain Dockerfile syntax on purpose: it builds with BuildKit, the old builder and podman alike.
ARG BASE=python:3.13-slim

# ---- What all three stand on. Built anew only when the base or requirements/services.txt changes.
FROM ${BASE} AS common
# curl: for `kubectl exec POD -- curl http://0.0.0.0:5000/health`, and compose's health checks.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends curl \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin fanout
WORKDIR /app
# Wheels only: nothing is compiled, so there is no compiler to remove.
COPY requirements/services.txt ./requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
    --require-hashes --only-binary :all: --requirement requirements.txt
# HOST: inside a container, loopback would reach nobody. Bytecode is written below, where the root is writable.
ENV HOST=0.0.0.0 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 5000

FROM common AS producer
COPY pipeline/ pipeline/
COPY producer/ producer/
RUN python -m compileall -q pipeline producer
# A number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 10001:10001
# The process itself, no shell around it: SIGTERM reaches it.
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
# The web server, which the other two do without.
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
