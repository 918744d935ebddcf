# docker buildx bake -f docker/docker-bake.hcl -f docker/base-images.json [group or target]
# or: edgeshuffle image build [group or target]

# PYTHON_IMAGE is a variable of base-images.json.

# Where packages come from. A mirror that needs a password goes into a pip.conf instead:
# --set '*.secrets=id=pip_conf,src=pip.conf'. Proxies: HTTP_PROXY and so on are taken by themselves.
variable "PIP_INDEX_URL" { default = "" }
variable "DEBIAN_MIRROR" { default = "" }

variable "REGISTRY" { default = "" }
variable "VERSION" { default = "0.1.0" }
variable "REVISION" { default = "" }

group "default" { targets = ["runner"] }
group "all" { targets = ["runner", "exporter"] }

target "_common" {
  context = "."
  args = {
    PYTHON_IMAGE  = PYTHON_IMAGE
    PIP_INDEX_URL = PIP_INDEX_URL
    DEBIAN_MIRROR = DEBIAN_MIRROR
  }
  labels = {
    "org.opencontainers.image.title"    = "edgeshuffle"
    "org.opencontainers.image.licenses" = "Apache-2.0"
    "org.opencontainers.image.version"  = VERSION
    "org.opencontainers.image.revision" = REVISION
  }
}

# The agent and both runtimes, for boards: `--device docker://[user@]host/edgeshuffle-runner`.
target "runner" {
  inherits   = ["_common"]
  dockerfile = "docker/runner.Dockerfile"
  platforms  = ["linux/arm64", "linux/arm/v7"]
  tags       = ["${REGISTRY}edgeshuffle-runner:${VERSION}", "${REGISTRY}edgeshuffle-runner:latest"]
}

# The whole tool, with torch.
target "exporter" {
  inherits   = ["_common"]
  dockerfile = "docker/exporter.Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  tags       = ["${REGISTRY}edgeshuffle:${VERSION}", "${REGISTRY}edgeshuffle:latest"]
}

# A folder, not an image: Python, the runtimes and the agent for what has no Python.
target "bundle" {
  inherits   = ["_common"]
  dockerfile = "docker/bundle.Dockerfile"
  platforms  = ["linux/arm64"]
  output     = ["type=local,dest=build/bundle"]
}
