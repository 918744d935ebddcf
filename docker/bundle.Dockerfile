# Not an image but a folder: docker buildx build --output build/bundle -f docker/bundle.Dockerfile .
# Python, the runtimes and the agent, with their own loader and C library, for 64-bit ARM without
# Python: sh build/bundle/python3 agent.py --describe

ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM --platform=$BUILDPLATFORM ${PYTHON_IMAGE} AS assemble
ARG PIP_INDEX_URL
ARG DEBIAN_MIRROR
WORKDIR /src
COPY tools/build_root.py tools/
COPY docker/runner-*.lock docker/
COPY edgeshuffle/__init__.py edgeshuffle/errors.py edgeshuffle/
COPY edgeshuffle/host edgeshuffle/host
COPY edgeshuffle/untrusted edgeshuffle/untrusted
COPY edgeshuffle/payload edgeshuffle/payload
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    python3 tools/build_root.py --bundle arm64 /out

FROM scratch
COPY --from=assemble /out/ /
COPY edgeshuffle/agent/agent.py edgeshuffle/agent/ort.py edgeshuffle/agent/litert.py \
     edgeshuffle/agent/power.py edgeshuffle/agent/probe.py /
