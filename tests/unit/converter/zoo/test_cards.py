"""Cards against the networks that they describe, and against the papers' tables."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeshuffle.converter import zoo
from edgeshuffle.converter.zoo.cards import card_names, cards, find_card, load_card, variants
from edgeshuffle.converter.zoo.families import FAMILIES
from edgeshuffle.converter.zoo.network import Form
from edgeshuffle.errors import UnknownNameError


def counted(module, side):
    """Multiply-accumulates of convolutions and fully connected layers, without computing them."""
    total = 0

    def count(layer, _, output):
        nonlocal total
        places = output.shape[2:].numel() if isinstance(layer, nn.Conv2d) else 1
        total += places * layer.weight.numel()

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    module.eval()(torch.zeros(1, module.shape.inputs, side, side, device="meta"))
    return total


def built(card):
    family = FAMILIES[card.family]
    with torch.device("meta"):
        return family.build(family.of_card(card), Form(**card.form))


@pytest.mark.parametrize("name", card_names())
def test_a_card_counts_what_its_network_has(name):
    card = load_card(name)
    module = built(card)
    assert sum(value.numel() for value in module.parameters()) == card.parameters
    assert counted(module, card.preprocess.crop[0]) == card.macs
    assert module.shape.channels == card.channels
    assert find_card(card.variant, card.width, card.groups) == card


# arXiv:1807.11164, table 5, and the models of table 8, in millions.
V2 = {0.5: (41, 1.4), 1.0: (146, 2.3), 1.5: (299, 3.5), 2.0: (591, 7.4)}
# arXiv:1707.01083, table 1 (1x) and table 2 (others).
V1 = {1: 143, 2: 140, 3: 137, 4: 133, 8: 137}
V1_NARROW = {0.5: 38, 0.25: 13}
# Megvii's README: MFLOPs and millions of parameters.
V2PLUS = {"small": (156, 5.1), "medium": (222, 5.6), "large": (360, 6.7)}


@pytest.mark.parametrize("width", V2)
def test_v2_is_the_papers(width):
    card = find_card("v2", width, None)
    macs, parameters = V2[width]
    # The paper also counts what is no multiplication.
    assert card.macs / 1e6 == pytest.approx(macs, rel=0.02)
    assert card.parameters / 1e6 == pytest.approx(parameters, abs=0.06)


@pytest.mark.parametrize("groups", V1)
def test_v1_is_the_papers(groups):
    macs = V1[groups]
    assert find_card("v1", 1.0, groups).macs / 1e6 == pytest.approx(macs, abs=1.5)
    for width, narrow in V1_NARROW.items():
        found = find_card("v1", width, groups).macs / 1e6
        assert found == pytest.approx(narrow, rel=0.16)


@pytest.mark.parametrize("size", V2PLUS)
def test_v2_plus_is_megviis(size):
    card = find_card(f"v2plus-{size}", None, None)
    macs, parameters = V2PLUS[size]
    assert round(card.macs / 1e6) == macs
    assert card.parameters / 1e6 == pytest.approx(parameters, abs=0.1)


def test_squeeze_and_excitation_costs_no_more_than_the_paper_says():
    for card in cards():
        if card.variant == "v2-se":
            plain = find_card("v2", card.width, None)
            assert 1 < card.macs / plain.macs < 1.01
            assert 1 < card.parameters / plain.parameters < 1.04


@pytest.mark.parametrize(
    ("variant", "width", "groups", "message"),
    [
        ("v3", None, None, "Known: v2, v1, v2-se"),
        ("v1", 0.75, None, "no ShuffleNetV1 of width 0.75. Known: 0.25, 0.5, 1.0, 1.5, 2.0"),
        ("v1", None, 5, "Known: 1, 2, 3, 4, 8"),
        ("v2", None, 3, "`groups=3` is no number of groups of v2"),
        ("v2plus-small", 0.5, None, "Leave `width` out"),
    ],
)
def test_unknown_members_list_the_known_ones(variant, width, groups, message):
    with pytest.raises(UnknownNameError, match=message):
        find_card(variant, width, groups)


def test_without_groups_v1_has_three():
    assert find_card("v1", None, None).name == "shufflenet_v1_g3_x1_0"


@pytest.mark.parametrize("variant", variants())
def test_random_weights_are_the_same_every_time_and_keep_signals_a_size(variant):
    before = torch.get_rng_state()
    card = find_card(variant, None, None)
    wanted = zoo.Wanted(weights="random", variant=variant, num_classes=7)
    loaded, again = zoo.load(wanted), zoo.load(wanted)
    assert loaded.name == card.name
    assert torch.equal(before, torch.get_rng_state())
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits = loaded.module(image)
    assert torch.equal(logits, again.module(image))
    assert logits.shape == (2, 7)
    assert 0.05 < float(logits.std()) < 20


def test_features_of_random_weights():
    loaded = zoo.load(zoo.Wanted(weights="random", variant="v1", features=True))
    with torch.no_grad():
        shapes = [tuple(value.shape) for value in loaded.module(torch.zeros(1, 3, 64, 32))]
    assert shapes == [(1, 240, 8, 4), (1, 480, 4, 2), (1, 960, 2, 1)]
    assert loaded.module.output_names == ("stage2", "stage3", "stage4")
