"""Where data lies: what ships with edgeshuffle (cards, labels, the demo) and what it caches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
# A wheel has `models/` inside; in a checkout, it stands beside the package.
_INSIDE: Final = _PACKAGE / "models"
MODELS: Final = _INSIDE if _INSIDE.is_dir() else _PACKAGE.parent / "models"
DEMO: Final = MODELS / "demo"
TEST_IMAGES: Final = DEMO / "fashion_mnist_test.npz"
CALIBRATION_IMAGES: Final = DEMO / "fashion_mnist_calib.npz"


def cache_folder() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/edgeshuffle` or `~/.cache/edgeshuffle`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "edgeshuffle"
