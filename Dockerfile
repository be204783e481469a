# One image per service, and `cpu`: the whole system and the command, without NVIDIA's libraries.
#
#   docker build --target detector --build-arg BASE_IMAGE=... --build-arg BASE_DIGEST=sha256:... .
#
# The base is any glibc image of CPython 3.11 to 3.13 with pip, such as the slim ones of `python`. It has no
# default: which one, and which digest of it, is the decision of whoever answers for the image.
ARG BASE_IMAGE
ARG BASE_DIGEST

# ---- the project itself, at /app: `services`, and `models` beside it, where the catalog looks for them
FROM ${BASE_IMAGE}@${BASE_DIGEST} AS build
WORKDIR /src
COPY deploy/images/build.lock deploy/images/build.lock
RUN python3 -m venv /build \
 && /build/bin/python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r deploy/images/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY services services
COPY models models
RUN /build/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /build/dist . \
 && /build/bin/python -m pip install --no-cache-dir --no-compile --no-deps --target /app /build/dist/*.whl \
 && rm -rf /app/bin \
 && cp -r models /app/models
COPY deploy/images deploy/images

# ---- one environment per lock; pip stays behind in /build
FROM build AS orchestrator-environment
RUN python3 -m venv --without-pip /opt/venv \
 && /build/bin/python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r deploy/images/orchestrator.lock \
 && /opt/venv/bin/python deploy/images/sbom.py --path /app > /opt/venv/sbom.cdx.json

FROM build AS detector-environment
RUN python3 -m venv --without-pip /opt/venv \
 && /build/bin/python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r deploy/images/detector.lock \
 && /opt/venv/bin/python deploy/images/sbom.py --path /app > /opt/venv/sbom.cdx.json

FROM build AS worker-environment
RUN python3 -m venv --without-pip /opt/venv \
 && /build/bin/python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r deploy/images/worker.lock \
 && /opt/venv/bin/python deploy/images/sbom.py --path /app > /opt/venv/sbom.cdx.json

FROM build AS cpu-environment
RUN python3 -m venv --without-pip /opt/venv \
 && /build/bin/python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r deploy/images/cpu.lock \
 && /opt/venv/bin/python deploy/images/sbom.py --path /app > /opt/venv/sbom.cdx.json

# ---- what every image shares. /tmp is the only folder that is written to: mount one there.
FROM ${BASE_IMAGE}@${BASE_DIGEST} AS runtime
ARG BASE_IMAGE
ARG BASE_DIGEST
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="screenalytics" \
      org.opencontainers.image.description="Who is on screen, when, and for how long" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
RUN python3 -m pip uninstall --yes --root-user-action=ignore pip \
 && ! command -v cc && ! command -v gcc && ! command -v make
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SCREENALYTICS_LOG__FORMAT=json \
    HOME=/tmp
WORKDIR /app
USER 65532:65532

FROM runtime AS orchestrator
COPY --from=orchestrator-environment /opt/venv /opt/venv
EXPOSE 8080 9090
ENTRYPOINT ["python", "-m", "services.orchestrator"]

FROM runtime AS detector
COPY --from=detector-environment /opt/venv /opt/venv
EXPOSE 9100
ENTRYPOINT ["python", "-m", "services.detector"]

FROM runtime AS embedder
COPY --from=worker-environment /opt/venv /opt/venv
EXPOSE 9100
ENTRYPOINT ["python", "-m", "services.embedder"]

FROM runtime AS clusterer
COPY --from=worker-environment /opt/venv /opt/venv
EXPOSE 9100
ENTRYPOINT ["python", "-m", "services.clusterer"]

# Every service on the CPU, by its module, and the command: `docker run ... up --device cpu`.
FROM runtime AS cpu
COPY --from=cpu-environment /opt/venv /opt/venv
EXPOSE 8080 9090 9100
ENTRYPOINT ["python", "-m", "services.cli"]
