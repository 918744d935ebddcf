"""Weights that make up for noise: nearer on new data where noise can be told, else unchanged."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeshuffle.converter.quant.compensate import STRENGTHS, compensated, damped, gains_of
from edgeshuffle.converter.quant.layer import LayerProblem, Moments
from edgeshuffle.host.workers import Workers

IMAGES, PLACES, SIZE, ROWS = 32, 20, 6, 4
WORKERS = Workers(1)


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def layer(read, real, weights, images=IMAGES, *, depthwise=False):
    shape = (len(weights), 1, 2, 3) if depthwise else (*weights.shape, 1, 1)
    kernel = ir.tensor(weights.float().reshape(shape).numpy())
    node = ir.node(
        "Conv",
        [ir.Value(name="x"), ir.Value(name="w", const_value=kernel)],
        attributes={"group": len(weights) if depthwise else 1},
    )
    return LayerProblem(node, weights, weights.round(), read, real, images, WORKERS)


def error(weights, wanted, read, real):
    """Of the output without its mean, which is the bias's."""
    lost = wanted @ real.double() - weights @ read.double()
    return float((lost - lost.mean(1, keepdim=True)).square().sum())


def inputs(seed, images=IMAGES):
    """Channels of which each is nearly the sum of two others."""
    hidden = normal(SIZE // 2, images * PLACES, seed=seed)
    return torch.cat([hidden, hidden.roll(1, 0) + hidden]) + 0.1 * normal(
        SIZE, images * PLACES, seed=seed + 1
    )


@given(st.integers(0, 999))
def test_noise_that_other_channels_tell_is_made_up_for(seed):
    weights = normal(ROWS, SIZE, seed=seed).double()
    sets = []
    for real in (inputs(seed + 1000), inputs(seed + 5000)):
        noise = normal(*real.shape, seed=seed + 2) * 0.5
        noise[1:] = 0
        sets.append((real + noise, real))
    (read, real), new = sets
    found = compensated(layer(read, real, weights))
    assert error(found, weights, *new) < 0.9 * error(weights, weights, *new)


@given(st.integers(0, 999), st.floats(0.5, 0.95))
def test_peaks_that_are_always_clipped(seed, bound):
    weights = normal(ROWS, SIZE, seed=seed).double()
    real, new = inputs(seed + 1000), inputs(seed + 5000)
    found = compensated(layer(real.clamp(-bound, bound), real, weights))
    clipped = new.clamp(-bound, bound)
    assert error(found, weights, clipped, new) < error(weights, weights, clipped, new)


@pytest.mark.parametrize("images", [8, 12, 16])
def test_few_images_do_no_harm_to_others(images):
    """Noise that does not depend on what is read, and hardly more places than channels."""
    ratios = []
    for seed in range(40):
        weights = normal(ROWS, SIZE, seed=seed).double()
        read = normal(SIZE, images * 2, seed=seed + 1000)
        real = read + 0.1 * normal(*read.shape, seed=seed + 2000)
        found = compensated(layer(read, real, weights, images))
        read = normal(SIZE, 5000, seed=seed + 3000)
        real = read + 0.1 * normal(*read.shape, seed=seed + 4000)
        ratios.append(error(found, weights, read, real) / error(weights, weights, read, real))
    # Without a check on images left out: 1.2 to 1.8.
    assert sum(ratios) / len(ratios) < 1.1


def test_without_noise_nothing_is_changed():
    weights, real = normal(ROWS, SIZE, seed=0).double(), inputs(1)
    assert torch.equal(compensated(layer(real.clone(), real, weights)), weights)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_too_few_images_to_check_with(images):
    weights, real = normal(ROWS, SIZE, seed=0).double(), inputs(1, images)
    assert compensated(layer(real.clamp(-1, 1), real, weights, images)) is weights


def test_channels_that_are_always_zero():
    weights, real = normal(ROWS, SIZE, seed=0).double(), inputs(1)
    real[::2] = 0
    found = compensated(layer(real.clamp(-1, 1), real, weights))
    assert torch.equal(found[:, ::2], weights[:, ::2])
    dead = torch.zeros_like(real)
    assert torch.equal(compensated(layer(dead.clone(), dead, weights)), weights)


def test_a_depthwise_layer_has_inputs_of_its_own_in_each_row():
    weights = normal(2, SIZE, seed=0).double()
    real = torch.cat([inputs(1), inputs(7)])
    read = real.clone()
    read[0] = real[0].clamp(-0.5, 0.5)
    found = compensated(layer(read, real, weights, depthwise=True))
    assert torch.equal(found[1], weights[1])
    alone = compensated(layer(read[:SIZE], real[:SIZE], weights[:1]))
    assert torch.allclose(found[0], alone[0])
    assert not torch.allclose(found[0], weights[0])


@given(st.integers(0, 999), st.booleans())
def test_the_strength_that_is_chosen_gains_most_on_images_that_were_left_out(seed, depthwise):
    weights = normal(2 if depthwise else ROWS, SIZE, seed=seed).double()
    real = torch.cat([inputs(seed + 1), inputs(seed + 9)]) if depthwise else inputs(seed + 1)
    read = real + normal(*real.shape, seed=seed + 5) * 0.5
    problem = layer(read, real, weights, depthwise=depthwise)
    part, *others = problem.folds
    whole = Moments(*(torch.stack(sums).sum(0) for sums in zip(part, *others, strict=True)))
    rest = Moments(whole.inputs - part.inputs, whole.lost - part.lost)
    gains = []
    for strength in STRENGTHS:
        added = torch.linalg.solve(damped(rest.inputs, strength), rest.lost.mT).mT
        gains.append(float((added * (2 * part.lost - added @ part.inputs)).sum()))
    np.testing.assert_allclose(gains_of(whole, part), gains, rtol=1e-6, atol=1e-6)
