"""What several tests of bench measure."""

from __future__ import annotations

import pytest
from scripted_device import FILES
from small_models import artifact


@pytest.fixture
def small(tmp_path):
    for name, _ in FILES:
        (tmp_path / name).write_bytes(name.encode())
    return artifact(tmp_path, FILES, num_classes=2, size=4)
