"""Where the data that ships with edgeshuffle lies: cards, labels and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
# In a checkout, `models/` stands beside the package; a wheel has it inside.
MODELS: Final = next(
    folder for folder in (_PACKAGE / "models", _PACKAGE.parent / "models") if folder.is_dir()
)
DEMO: Final = MODELS / "demo"
TEST_IMAGES: Final = DEMO / "fashion_mnist_test.npz"
CALIBRATION_IMAGES: Final = DEMO / "fashion_mnist_calib.npz"
