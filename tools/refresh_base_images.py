#!/usr/bin/env python3
"""Write the newest digests of the base images into docker/base-images.json.

    python3 tools/refresh_base_images.py [--registry ADDRESS]

A digest names one image for ever, where a tag moves. It is that of the list of all platforms, asked
for by the OCI distribution specification's API, without a login. What a registry sends is hashed
here: a digest that does not fit is refused, and nothing is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "docker" / "base-images.json"
LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
# Docker Hub's API is not where its names say.
HOSTS = {"docker.io": "https://registry-1.docker.io"}
NAME = re.compile(r"(?P<host>[^/]+)/(?P<path>[^:@]+):(?P<tag>[^:@]+)(?:@sha256:[0-9a-f]{64})?")
SECONDS = 30


class RefusedError(Exception):
    """What a registry or the file holds cannot be used."""


def main() -> int:
    """0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--registry", help="ask here instead, such as http://localhost:5000")
    options = parser.parse_args()
    try:
        settings = json.loads(options.file.read_text("utf-8"))
        for name, variable in settings["variable"].items():
            old = variable["default"]
            variable["default"] = pinned(old, options.registry)
            print(f"{name}: {'unchanged' if old == variable['default'] else variable['default']}")
    except (RefusedError, OSError, ValueError, KeyError) as err:
        print(f"refresh_base_images: {err}. Nothing was written.", file=sys.stderr)
        return 1
    temporary = options.file.with_suffix(".new")
    temporary.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    temporary.replace(options.file)
    return 0


def pinned(image: str, registry: str | None) -> str:
    """`host/path:tag` with the digest that its tag has now; raises RefusedError and OSError."""
    parts = NAME.fullmatch(image)
    if parts is None:
        raise RefusedError(f"'{image}' is not host/path:tag")
    host = registry or HOSTS.get(parts["host"], f"https://{parts['host']}")
    content, told = _manifest(f"{host}/v2/{parts['path']}/manifests/{parts['tag']}")
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if told is not None and told != digest:
        raise RefusedError(f"the registry says {told} of {image}, but sent {digest}")
    if json.loads(content).get("mediaType") not in LISTS:
        raise RefusedError(f"{image} is not a list of images for several platforms")
    return f"{parts['host']}/{parts['path']}:{parts['tag']}@{digest}"


def _manifest(address: str, token: str | None = None) -> tuple[bytes, str | None]:
    headers = {"Accept": ", ".join(LISTS)}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=SECONDS
        ) as reply:
            return reply.read(), reply.headers.get("Docker-Content-Digest")
    except urllib.error.HTTPError as err:
        challenge = err.headers.get("WWW-Authenticate", "")
        if err.code != 401 or token is not None or not challenge.startswith("Bearer "):
            raise RefusedError(f"{address} answers {err.code} {err.reason}") from err
    return _manifest(address, _token(challenge))


def _token(challenge: str) -> str:
    """A token for everyone, as the distribution specification's token authentication has it."""
    fields: dict[str, Any] = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = fields.pop("realm")
    if urllib.parse.urlsplit(realm).scheme not in ("https", "http"):
        raise RefusedError(f"the registry asks for a token from {realm}")
    with urllib.request.urlopen(
        f"{realm}?{urllib.parse.urlencode(fields)}", timeout=SECONDS
    ) as reply:
        return str(json.load(reply)["token"])


if __name__ == "__main__":
    sys.exit(main())
