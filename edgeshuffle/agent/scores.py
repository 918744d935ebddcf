"""A classifier's scores as probabilities. Stands alone: needs numpy only, Python 3.9 or later."""

from __future__ import annotations

from typing import Any

import numpy as np


def probabilities(scores: np.ndarray, gives: str | None) -> np.ndarray:
    """float64 (classes,) of a picture's scores: softmax, unless they are probabilities already."""
    values: Any = np.asarray(scores, np.float64).reshape(-1)
    if gives == "probabilities":
        return np.asarray(values)
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())


def best(shares: np.ndarray, count: int) -> list[int]:
    """Indices of the likeliest classes; among equal ones the lower index comes first."""
    found: list[int] = np.argsort(-shares, kind="stable")[:count].tolist()
    return found
