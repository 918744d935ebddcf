"""What several end-to-end tests start from."""

from __future__ import annotations

import pytest
from small_models import run


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The packaged demo's artifact, at a resolution that is quick to emulate."""
    folder = tmp_path_factory.mktemp("build") / "demo"
    assert run("export", "--width", "0.5", "--resolution", 64, "--int8", "-o", folder) == 0
    return folder
