"""How near a model's logits are to the reference's and to the labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating[Any]]


def energies(reference: Logits, output: Logits) -> tuple[float, float]:
    """Sums of squares of the reference and of the difference to it, in float64."""
    exact = np.asarray(reference, np.float64)
    error = exact - np.asarray(output, np.float64)
    return float(np.sum(exact * exact)), float(np.sum(error * error))


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise) of two energies; infinite without noise, and -infinite with noise
    but without a signal. Raises ValueError for NaN and infinite energies.
    """
    if not (math.isfinite(signal) and math.isfinite(noise)):
        raise ValueError(f"no energies: signal {signal}, noise {noise}")
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def none_if_equal(db: float) -> float | None:
    """Decibels for JSON, which has no infinity: None without noise, and for nothing else.

    Raises ValueError for NaN, and for noise without a signal: those are no ratios.
    """
    if db == math.inf:
        return None
    if not math.isfinite(db):
        raise ValueError(f"{db} dB is no signal to noise ratio")
    return db


def sqnr_db(reference: Logits, output: Logits) -> float:
    """Signal to quantization noise ratio over all values, in dB; infinite where they are equal."""
    return decibels(*energies(reference, output))


def softmax(logits: Logits) -> NDArray[np.float64]:
    """Probabilities of (..., classes) logits."""
    values = np.asarray(logits, np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def agreement(reference: Logits, output: Logits) -> float:
    """Percent of the rows of (n, classes) logits with the same largest class."""
    return 100 * float(np.mean(np.argmax(reference, axis=1) == np.argmax(output, axis=1)))


def ranks(logits: Logits, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many classes of (n, classes) logits come before each row's label.

    Among equal logits the lower class comes first, as with argmax; int8 logits are often equal.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    before = (logits > own) | ((logits == own) & earlier)
    counts: NDArray[np.int64] = before.sum(axis=1, dtype=np.int64)
    return counts


def paired_drop(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> tuple[float, float]:
    """Points of top-1 that are lost on the same (n,) images, and the standard error of the paired
    difference; the arguments tell which images each was right about.
    """
    lost = before.astype(int) - after
    return 100 * float(lost.mean()), 100 * float(lost.std()) / math.sqrt(len(lost))


def standard_error(percent: float, n: int) -> float:
    """Standard error of a share of `n` independent images, both in percent."""
    share = percent / 100
    return 100 * math.sqrt(share * (1 - share) / n)
