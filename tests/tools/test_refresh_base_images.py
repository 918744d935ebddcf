"""tools/refresh_base_images.py against a small registry."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from places import CHECKOUT

SCRIPT = CHECKOUT / "tools" / "refresh_base_images.py"
INDEX = json.dumps(
    {"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
).encode()


@pytest.fixture
def registry():
    """A registry on loopback, and its replies by path and whether a token was given."""
    replies = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            status, headers, body = replies[path, "Authorization" in self.headers]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", replies
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "base-images.json"
    made.write_text('{"variable": {"PYTHON_IMAGE": {"default": "docker.io/library/python:3.11"}}}')
    return made


def refresh(file, address):
    return subprocess.run(
        [sys.executable, SCRIPT, "--file", file, "--registry", address],
        capture_output=True,
        text=True,
        check=False,
    )


MANIFEST = "/v2/library/python/manifests/3.11"
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"


def test_the_digest_is_that_of_what_was_sent(registry, file):
    address, replies = registry
    challenge = f'Bearer realm="{address}/token",service="here",scope="repository:python:pull"'
    replies[MANIFEST, False] = (401, {"WWW-Authenticate": challenge}, b"")
    replies["/token", False] = (200, {}, b'{"token": "abc"}')
    replies[MANIFEST, True] = (200, {"Docker-Content-Digest": DIGEST}, INDEX)
    for said in (
        f"PYTHON_IMAGE: docker.io/library/python:3.11@{DIGEST}\n",
        "PYTHON_IMAGE: unchanged\n",
    ):
        done = refresh(file, address)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
        variables = json.loads(file.read_text())["variable"]
        assert variables == {"PYTHON_IMAGE": {"default": f"docker.io/library/python:3.11@{DIGEST}"}}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((200, {"Docker-Content-Digest": "sha256:" + "0" * 64}, INDEX), "but sent sha256:"),
        ((200, {}, b'{"mediaType": "other"}'), "several platforms"),
        ((404, {}, b""), "answers 404"),
        ((200, {}, b"<html>"), "Expecting value"),
    ],
)
def test_what_is_wrong_changes_nothing(registry, file, reply, message):
    address, replies = registry
    before = file.read_text()
    replies[MANIFEST, False] = reply
    done = refresh(file, address)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert file.read_text() == before


def test_no_registry(file):
    done = refresh(file, "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert len(done.stderr.splitlines()) == 1
