"""Mutations of valid input: decided by the generator alone, and nothing that they make comes
through the door but as what it should be.
"""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from random import Random

import numpy as np
import onnx
import pytest
from hostile import content, strategies, structure
from hypothesis import given, settings
from onnx import TensorProto, helper

from edgeshuffle.untrusted import UntrustedError, clean, decode


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    share: float | None


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    samples: tuple[int, ...]
    inner: Inner


VALID = asdict(Outer(count=1, samples=(10, 20, 30), inner=Inner(name="a", share=0.5)))
TEXT = json.dumps(VALID).encode()


# The machine may be slow.
@settings(deadline=None)
@given(strategies.json_texts(TEXT))
def test_what_comes_through_the_door_has_its_types(raw):
    with suppress(UntrustedError):
        found = decode(raw, Outer)
        assert type(found.count) is int
        assert all(type(sample) is int for sample in found.samples)
        assert found.inner.name == clean(found.inner.name)
        assert json.loads(json.dumps(asdict(found), allow_nan=False))


@settings(deadline=None)
@given(strategies.values(VALID))
def test_a_mutation_leaves_the_valid_value_alone(value):
    assert json.loads(TEXT) == json.loads(json.dumps(VALID))


MESSAGE = helper.make_model(
    helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
)


def archive():
    out = io.BytesIO()
    np.savez(out, x=np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3), y=np.array([1]))
    return out.getvalue()


def small_bombs(monkeypatch):
    monkeypatch.setattr(content, "_BOMB", 2**23)


MUTATIONS = {
    "value": lambda random: json.dumps(structure.mutated(random, VALID)),
    "lines": lambda random: structure.mutated_lines(random, TEXT + b"\n" + TEXT),
    "bytes": lambda random: content.mutated_bytes(random, TEXT),
    "message": lambda random: content.mutated_message(random, MESSAGE).SerializeToString(),
    "zip": lambda random: content.mutated_zip(random, archive()),
}


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_seed_decides_and_most_seeds_change_something(kind, monkeypatch):
    small_bombs(monkeypatch)
    made = [MUTATIONS[kind](Random(seed)) for seed in range(40)]
    if kind != "zip":
        # Zip files hold the time at which they were made.
        assert made == [MUTATIONS[kind](Random(seed)) for seed in range(40)]
    assert len(set(made)) > 20


def test_a_message_keeps_its_kind():
    for seed in range(100):
        raw = content.mutated_message(Random(seed), MESSAGE).SerializeToString()
        onnx.ModelProto.FromString(raw)


def test_a_bomb_is_small_and_begins_as_its_member_did(monkeypatch):
    small_bombs(monkeypatch)
    raw = archive()
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made,
        zipfile.ZipFile(io.BytesIO(raw)) as valid,
    ):
        content._write_bomb(made, "x.npy", valid.read("x.npy"))
    assert len(out.getvalue()) < 2**16
    with zipfile.ZipFile(out) as made:
        assert made.getinfo("x.npy").file_size > 2**22
        assert made.read("x.npy").startswith(b"\x93NUMPY")


def test_mutants_can_be_mutated_again():
    for seed in range(300):
        mutant = structure.mutated(Random(seed), [VALID, *structure.EXTREMES], times=10)
        assert structure.dumped(Random(seed), mutant) is not None
