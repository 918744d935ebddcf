"""What several end-to-end tests start from."""

from __future__ import annotations

import shutil

import pytest
from sharing import once
from small_models import run


@pytest.fixture(scope="session")
def demo(request, tmp_path_factory):
    """The packaged demo's artifact, at a resolution that is quick to emulate."""

    def make(folder):
        assert run("export", "--width", "0.5", "--resolution", 64, "--int8", "-o", folder) == 0

    # Benches write beside it.
    folder = tmp_path_factory.mktemp("build") / "demo"
    shutil.copytree(once(request, "demo", make), folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def networks_are_traced_once(traced_once):
    """Also by the commands that tests run in this process."""
