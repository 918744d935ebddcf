"""Checkpoints with anything wrong in them load as what they are, or are refused in one line."""

from __future__ import annotations

import functools
import pickle
from random import Random

import pytest
import torch
from foreign_networks import FastestDet, Flat, MegviiV2Plus, Staged
from hostile.content import mutated_bytes, mutated_zip

from edgeshuffle.converter import zoo
from edgeshuffle.converter.zoo.network import ShuffleNet
from edgeshuffle.errors import EdgeShuffleError

ROUNDS = 20


@functools.cache
def states():
    torch.manual_seed(0)
    made = (Staged(), Flat(), Flat(groups=2), MegviiV2Plus(), FastestDet())
    return [dict(module.state_dict()) for module in made]


def reshaped(random, value):
    sizes = list(value.shape)
    if not sizes:
        return torch.zeros(random.choice([1, 2]))
    place = random.randrange(len(sizes))
    sizes[place] = random.choice([0, 1, 2, 3, 4, 8, sizes[place] * 2, sizes[place] + 1])
    if random.random() < 0.3:
        sizes = sizes[:-1]
    return torch.zeros(sizes)


def mutated(random, state):
    """A few of its entries gone, renamed, doubled, of other shapes, types or numbers."""
    state = dict(state)
    for _ in range(random.randint(1, 4)):
        if not state:
            break
        key = random.choice(list(state))
        # What is no tensor any more can only go, or be renamed.
        kind = random.randrange(8 if isinstance(state[key], torch.Tensor) else 3)
        if kind == 0:
            del state[key]
        elif kind == 1:
            state[random.choice([key[1:], f"x.{key}", key.replace("2", "7", 1)])] = state.pop(key)
        elif kind == 2:
            state[key.replace("0", str(random.randrange(10**6)), 1)] = state[key]
        elif kind == 3:
            state[key] = reshaped(random, state[key])
        elif kind == 4:
            state[key] = state[key].to(random.choice([torch.int8, torch.bool, torch.float16]))
        elif kind == 5:
            state[key] = random.choice(["text", 3, None, [1], {"a": 1}, torch.tensor(float("nan"))])
        elif kind == 6:
            other = random.choice(list(random.choice(states()).items()))
            state[other[0]] = other[1]
        else:
            part = key.rpartition(".")[0].rpartition(".")[0]
            state = {name: value for name, value in state.items() if not name.startswith(part)}
    # Entries may have become no tensors.
    return {k: v for k, v in state.items() if isinstance(v, torch.Tensor) or random.random() < 0.5}


def loads_or_says_why(path, random):
    features, layout = random.random() < 0.3, random.choice([None, None, None, "megvii_v2"])
    wanted = zoo.Wanted(weights=str(path), features=features, layout=layout)
    loaded = why = None
    try:
        loaded = zoo.load(wanted)
    except EdgeShuffleError as err:
        why = str(err)
    if loaded is None:
        assert "\n" not in why
        assert len(why) < 2000
        return
    assert isinstance(loaded.module, ShuffleNet)
    with torch.no_grad():
        loaded.module(torch.zeros(1, loaded.module.shape.inputs, 64, 64))


@pytest.mark.parametrize("seed", range(5))
def test_entries(tmp_path, seed):
    random = Random(seed)
    for _ in range(ROUNDS):
        state = mutated(random, random.choice(states()))
        torch.save(state, tmp_path / "a.pth")
        loads_or_says_why(tmp_path / "a.pth", random)


@pytest.mark.parametrize("zipped", [True, False])
def test_bytes(tmp_path, zipped):
    saved = {"model": states()[0], "best": complex(1, 2), "cfg": Random(1)}
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    raw = (tmp_path / "a.pth").read_bytes()
    random = Random(2)
    for _ in range(ROUNDS):
        changed = mutated_zip(random, raw) if zipped else mutated_bytes(random, raw, raw)
        (tmp_path / "a.pth").write_bytes(changed)
        loads_or_says_why(tmp_path / "a.pth", random)


def test_bytes_of_paddles_files(tmp_path):
    raw = pickle.dumps({key: value.numpy() for key, value in states()[1].items()}, protocol=4)
    random = Random(3)
    for _ in range(ROUNDS):
        (tmp_path / "a.pdparams").write_bytes(mutated_bytes(random, raw, raw))
        loads_or_says_why(tmp_path / "a.pdparams", random)


def test_numbers_in_names_may_be_long(tmp_path):
    state = states()[0]
    long = "9" * 5000
    odd = {f"stage2.{long}.branch2.0.weight": torch.ones(1), f"fc{long}.weight": torch.ones(1, 40)}
    torch.save({**state, **odd}, tmp_path / "a.pth")
    with pytest.raises(EdgeShuffleError, match="nothing is known of"):
        zoo.load(zoo.Wanted(weights=str(tmp_path / "a.pth")))


def test_a_scalar_where_widths_are_read(tmp_path):
    state = {**states()[2], "features.3.branch_main_1.1.bias": torch.tensor(1.0)}
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(EdgeShuffleError, match="does not fit a shufflenet_v1"):
        zoo.load(zoo.Wanted(weights=str(tmp_path / "a.pth")))
