"""Where things are, wherever a test lies."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
GOLDEN = CHECKOUT / "tests" / "golden"
