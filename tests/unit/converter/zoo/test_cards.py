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
from edgeshuffle.memory_access import memory_access_cost


def counted(module, side):
    """Multiply-accumulates and memory access cost of convolutions and fully connected layers."""
    macs, access = 0, 0

    def count(layer, inputs, output):
        nonlocal macs, access
        conv = isinstance(layer, nn.Conv2d)
        read, written = (one.shape[2:].numel() if conv else 1 for one in (*inputs, output))
        macs += written * layer.weight.numel()
        access += memory_access_cost(
            read=read,
            written=written,
            inputs=inputs[0].shape[1],
            outputs=output.shape[1],
            taps=layer.weight.shape[2:].numel(),
            groups=layer.groups if conv else 1,
        )

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    module.eval()(torch.zeros(1, module.shape.inputs, side, side, device="meta"))
    return macs, access


def built(card):
    family = FAMILIES[card.family]
    with torch.device("meta"):
        return family.build(family.of_card(card), Form(**card.form))


@pytest.mark.parametrize("name", card_names())
def test_a_card_counts_what_its_network_has(name):
    card = load_card(name)
    module = built(card)
    assert sum(value.numel() for value in module.parameters()) == card.parameters
    assert counted(module, card.preprocess.crop[0]) == (card.macs, card.memory_access)
    assert module.shape.channels == card.channels
    assert find_card(card.variant, card.width, card.groups) == card


# arXiv:1807.11164, table 5, and the models of table 8, in millions.
V2 = {0.5: (41, 1.4), 1.0: (146, 2.3), 1.5: (299, 3.5), 2.0: (591, 7.4)}
# arXiv:1707.01083, table 1 (1x) and table 2 (others).
V1 = {1: 143, 2: 140, 3: 137, 4: 133, 8: 137}
V1_NARROW = {0.5: 38, 0.25: 13}
# Megvii's README: MFLOPs and millions of parameters.
V2PLUS = {"small": (156, 5.1), "medium": (222, 5.6), "large": (360, 6.7)}


# arXiv:1807.11164, table 8: top-1 error, GPU batches and ARM images a second.
SPEEDS = {
    "shufflenet_v2_x0_5": (39.7, 417, 57.0),
    "shufflenet_v2_x1_0": (30.6, 341, 24.4),
    "shufflenet_v2_x1_5": (27.4, 255, 11.8),
    "shufflenet_v2_x2_0": (25.1, 217, 6.7),
    "shufflenet_v2_se_x2_0": (24.6, 161, 5.6),
    "shufflenet_v1_g3_x1_0": (32.6, 213, 21.8),
}
# arXiv:1707.01083, table 2: top-1 error by groups.
V1_ERRORS = {
    1.0: {1: 33.6, 2: 32.7, 3: 32.6, 4: 32.8, 8: 32.4},
    0.5: {1: 45.1, 2: 44.4, 3: 43.2, 4: 41.6, 8: 42.3},
    0.25: {1: 57.1, 2: 56.8, 3: 55.0, 4: 54.2, 8: 52.7},
}


def test_speeds_are_the_papers():
    timed = {
        card.name: (one.top1, one.gpu_batches_per_second, one.arm_images_per_second)
        for card in cards()
        for one in card.published
        if one.arm_images_per_second is not None
    }
    assert timed == {
        name: (pytest.approx(100 - error), gpu, arm) for name, (error, gpu, arm) in SPEEDS.items()
    }


@pytest.mark.parametrize("width", V1_ERRORS)
def test_v1s_accuracies_are_the_papers(width):
    for groups, error in V1_ERRORS[width].items():
        (said,) = [one for one in find_card("v1", width, groups).published if one.by == "paper"]
        assert said.top1 == pytest.approx(100 - error)


@pytest.mark.parametrize("name", card_names())
def test_what_is_published_is_of_a_network_of_this_size(name):
    card = load_card(name)
    for one in card.published:
        assert 40 < one.top1 < (one.top5 or 100)
        # 13 MFLOPs of the V1 paper's narrowest are 11 here, whose bottlenecks are its quarter.
        assert card.macs / 1e6 == pytest.approx(one.mflops or card.macs / 1e6, rel=0.16)
    by = [one.by for one in card.published]
    assert len(set(by)) == len(by)
    assert ("torchvision" in by) == (card.weights is not None)


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
