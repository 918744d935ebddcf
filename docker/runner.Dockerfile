# The agent and the runtimes on Debian's Python, and nothing else: no shell, no package manager.
# Nothing of the target platform is run while it is built, so that no emulator is needed.

ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM --platform=$BUILDPLATFORM ${PYTHON_IMAGE} AS assemble
ARG PIP_INDEX_URL
ARG DEBIAN_MIRROR
ARG TARGETARCH
WORKDIR /src
COPY tools/build_root.py tools/
COPY docker/runner-*.lock docker/
COPY edgeshuffle/__init__.py edgeshuffle/errors.py edgeshuffle/
COPY edgeshuffle/host edgeshuffle/host
COPY edgeshuffle/untrusted edgeshuffle/untrusted
COPY edgeshuffle/payload edgeshuffle/payload
# A pip.conf with a password stays out of every layer as a secret.
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    python3 tools/build_root.py "$TARGETARCH" /out

FROM scratch
COPY --from=assemble /out/ /
COPY edgeshuffle/agent/agent.py edgeshuffle/agent/ort.py edgeshuffle/agent/litert.py \
     edgeshuffle/agent/power.py edgeshuffle/agent/probe.py /opt/edgeshuffle/
ENV HOME=/tmp \
    LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["/usr/bin/python3.11", "/opt/edgeshuffle/agent.py"]
CMD ["--describe"]
LABEL org.opencontainers.image.title="edgeshuffle runner" \
      org.opencontainers.image.description="Runs ShuffleNetV2 model files for edgeshuffle" \
      org.opencontainers.image.licenses="Apache-2.0"
