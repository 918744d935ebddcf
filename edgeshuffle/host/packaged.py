"""What ships with edgeshuffle: cards, class names, the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]
# A wheel has `models/` inside; in a checkout, it stands beside the package.
_INSIDE: Final = _PACKAGE / "models"
MODELS: Final = _INSIDE if _INSIDE.is_dir() else _PACKAGE.parent / "models"
DEMO: Final = MODELS / "demo"
TEST_IMAGES: Final = DEMO / "fashion_mnist_test.npz"
CALIBRATION_IMAGES: Final = DEMO / "fashion_mnist_calib.npz"
