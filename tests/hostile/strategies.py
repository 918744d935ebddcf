"""The same mutations for hypothesis, which chooses and shrinks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from hostile.content import mutated_bytes
from hostile.structure import mutated, mutated_json, mutated_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


def by(mutation: Callable[[Random, Any], Any], valid: Any) -> st.SearchStrategy[Any]:
    """What a mutation makes of a valid value."""
    return st.randoms(use_true_random=False).map(lambda random: mutation(random, valid))


def values(valid: Any) -> st.SearchStrategy[Any]:
    """JSON values near a valid one."""
    return by(mutated, valid)


def json_texts(valid: bytes) -> st.SearchStrategy[bytes]:
    """JSON texts near a valid one."""
    return by(mutated_json, valid)


def json_lines(valid: bytes) -> st.SearchStrategy[bytes]:
    """JSON lines near valid ones."""
    return by(mutated_lines, valid)


def contents(valid: bytes) -> st.SearchStrategy[bytes]:
    """Files near a valid one."""
    return by(mutated_bytes, valid)
