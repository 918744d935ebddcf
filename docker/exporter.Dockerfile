# The whole tool: export, quantize, evaluate, and measure devices over ssh.
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" edgeshuffle export --width 1.0 --int8
# or: edgeshuffle image run -- export --width 1.0 --int8

ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS install
ARG PIP_INDEX_URL
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY tools/constraints.txt tools/
RUN python3 -m venv /opt/edgeshuffle
# Alone and first, from the index without CUDA packages; on ARM, PyPI's own is without them, too.
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    /opt/edgeshuffle/bin/pip install --no-cache-dir --no-deps \
        --extra-index-url "$TORCH_INDEX_URL" "$(grep '^torch==' tools/constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY edgeshuffle edgeshuffle
COPY models models
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    /opt/edgeshuffle/bin/pip install --no-cache-dir --constraint tools/constraints.txt '.[export]'

FROM ${PYTHON_IMAGE}
COPY --from=install /opt/edgeshuffle /opt/edgeshuffle
ENV HOME=/tmp \
    PATH=/opt/edgeshuffle/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["edgeshuffle"]
CMD ["--help"]
LABEL org.opencontainers.image.title="edgeshuffle" \
      org.opencontainers.image.description="Puts ShuffleNetV2 on ARM CPUs" \
      org.opencontainers.image.licenses="Apache-2.0"
